"""What a site is worth to the others: its rows taken out of the bank, and everything scored again.

Taking rows out of a bank is exact and needs no site's help; what is left is the bank that its other
columns make. The server could also merge anew, and give the places to others: the gap between the
two is told beside it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedad.bank_file import load_bank
from fedad.compare.treatments import Treatment
from fedad.config import Config
from fedad.embedders.embedder import Embed, Embedder
from fedad.files import write_json
from fedad.judging import judge
from fedad.launch import sites_of
from fedad.metrics import Counts, report
from fedad.progress import track
from fedad.reporting.record import number
from fedad.reporting.run_folder import BANK
from fedad.round import fit, merge, seal
from fedad.sifting import sift
from fedad.types import Bank, Site

FILE = "leave_one_out.json"
TOGETHER = "together"
Figures = dict[str, dict[str, dict[str, float]]]  # judging site or TOGETHER -> category -> figures


def without(bank: Bank, site: str) -> Bank:
    """The bank less one site's rows: its other columns, in their order."""
    return bank.take(np.flatnonzero(bank.site != bank.sites.index(site)))


def values_of(one: Treatment, root: Path, figures: Sequence[str], seeds: int) -> dict[str, Any]:
    """Left-out site -> what it is `worth`, the mean over the first `seeds`.

    Read from the cells' `leave_one_out.json` where that is there.
    """
    some = [one.cells[seed] for seed in one.seeds[:seeds]]
    told = [_of_cell(cell.folder(root), cell.config, figures) for cell in some]
    names = sorted({name for cell in told for name in cell})
    return {name: worth([cell[name] for cell in told if name in cell], figures) for name in names}


def _of_cell(folder: Path, config: Config, figures: Sequence[str]) -> dict[str, Any]:
    path = folder / FILE
    if path.exists() and (told := json.loads(path.read_text()))["figures"] == list(figures):
        return dict(told["sites"])
    found = leave_one_out(folder, config, figures)
    write_json(path, {"figures": list(figures), "sites": found})
    return found


def leave_one_out(folder: Path, config: Config, figures: Sequence[str]) -> dict[str, Any]:
    """Left-out site -> the figures with "all" rows, "without" its own, and merged "anew"."""
    embed, sites = Embedder(config.embedder), [sift(config, s).site for s in sites_of(config)]
    bank = load_bank(folder / BANK)
    uploads = {site.name: upload_of(folder, config, site, embed) for site in sites if site.train}

    def figures_by(bank: Bank) -> Figures:
        return judged(config, sites, embed, bank, own=uploads, figures=figures)

    found = {}
    with track("leaving one site out", 1 + len(uploads)) as progress:
        whole = figures_by(bank)
        for done, name in enumerate(uploads, start=1):
            progress(done)
            rest = [upload for other, upload in uploads.items() if other != name]
            anew = figures_by(merge(config, rest)) if rest else {}
            found[name] = {"all": whole, "without": figures_by(without(bank, name)), "anew": anew}
    return found


def upload_of(folder: Path, config: Config, site: Site, embed: Embed) -> Bank:
    """What a site sent in a run: from its own copy in the run folder, or made again."""
    kept = sorted((folder / "sites" / site.name).glob("**/own.safetensors"))
    own = load_bank(kept[-1]) if kept else fit(config, site, embed)
    return seal(config, site.name, own)


def judged(
    config: Config,
    sites: Sequence[Site],
    embed: Embed,
    bank: Bank,
    *,
    own: Mapping[str, Bank],
    figures: Sequence[str],
) -> Figures:
    """The figures of each category that the bank still knows, by site and together."""
    known = {bank.categories[number] for number in np.unique(bank.category)}
    found, together = {}, Counts()
    for site in sites:
        test = [s for s in site.test if s.category in known or bank.scope == "mixed"]
        counts = Counts()
        for verdict in judge(config, test, embed, bank, own=own.get(site.name)):
            counts = counts + Counts.of(verdict.scored)
        found[site.name] = _figures(counts, figures)
        together = together + counts
    return {TOGETHER: _figures(together, figures), **found}


def _figures(counts: Counts, figures: Sequence[str]) -> dict[str, dict[str, float]]:
    return {
        name: {figure: float(told["figures"][figure]["value"]) for figure in figures}
        for name, told in report(counts)["categories"].items()
    }


def worth(seeds: Sequence[Mapping[str, Figures]], figures: Sequence[str]) -> dict[str, Any]:
    """What leaving one site out costs each judging site: the mean over categories and seeds.

    `loss` is the figure with all rows less that without the site's; `gap` is what merging anew
    would win back. `lost` are the categories that nobody else knows, left out of both.
    """
    found: dict[str, Any] = {}
    for judge_ in seeds[0]["all"]:
        known = [set(seed["without"].get(judge_, {})) for seed in seeds]
        every = set(seeds[0]["all"][judge_])
        found[judge_] = {"lost": sorted(every - known[0]), "loss": {}, "gap": {}}
        for figure in figures:
            for what, more, less in (("loss", "all", "without"), ("gap", "anew", "without")):
                found[judge_][what][figure] = _mean_difference(seeds, judge_, figure, more, less)
    return found


def _mean_difference(
    seeds: Sequence[Mapping[str, Figures]], judge_: str, figure: str, more: str, less: str
) -> float | None:
    """Over seeds and the categories that both have; None where that is none."""
    differences = []
    for seed in seeds:
        one, other = seed[more].get(judge_, {}), seed[less].get(judge_, {})
        for category in set(one) & set(other):
            pair = number(one[category][figure]), number(other[category][figure])
            differences.append(pair[0] - pair[1])
    known = [difference for difference in differences if not math.isnan(difference)]
    return sum(known) / len(known) if known else None
