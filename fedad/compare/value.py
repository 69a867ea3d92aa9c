"""What a site is worth to the others: its rows taken out of the bank, and everything scored again.

Taking rows out of a bank is exact and needs no site's help; what is left is the bank that its other
columns make. The server could also merge anew, and give the places to others: the gap between the
two is told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fedad.banks.bank import Bank
from fedad.compare import drawn as draws
from fedad.compare import rescored
from fedad.compare.plan import Plan
from fedad.compare.ranges import difference_range
from fedad.compare.rescored import Figures, Measured, measured
from fedad.compare.sources import digest
from fedad.compare.treatments import Treatment, overall
from fedad.config import Config
from fedad.embedders.embedder import Embed, Embedder
from fedad.evaluation.sureness import NOT_REDRAWN, Range
from fedad.judging.parts import ready
from fedad.messages.file import load
from fedad.methods.base import Forgetting, method_of
from fedad.plumbing.files import read_json, write_json
from fedad.plumbing.progress import track
from fedad.privacy.base import Unprotected
from fedad.reporting.record import number
from fedad.reporting.run_folder import BANK
from fedad.round import Local, fit, learn
from fedad.running.launch import sites_of
from fedad.types import Site

FILE = "leave_one_out.json"
PARTS = {"loss": ("all", "without"), "gap": ("anew", "without")}  # the first less the second


def values_of(plan: Plan, points: Sequence[Treatment], root: Path) -> dict[str, Any]:
    """Point -> left-out site -> what it is `worth`, the mean over the plan's first seeds.

    Read from the cells' `leave_one_out.json` where that is there.
    """
    if not plan.leave_one_out:
        return {}
    some = [(one, seed) for one in points for seed in one.seeds[: plan.leave_one_out]]
    steps = sum(1 + len(one.records[seed]["sites"]) for one, seed in some)
    told: dict[str, list[dict[str, Any]]] = {one.label: [] for one in points}
    with track("leaving sites out", steps) as progress:
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            progress(done)

        for one, seed in some:
            cell = one.cells[seed]
            told[one.label].append(_of_cell(cell.folder(root), cell.config, plan.figures, step))
    return {label: _worth_by_site(cells, plan.figures) for label, cells in told.items()}


def _worth_by_site(cells: Sequence[Mapping[str, Any]], figures: Sequence[str]) -> dict[str, Any]:
    names = sorted({name for cell in cells for name in cell})
    return {name: worth([cell[name] for cell in cells if name in cell], figures) for name in names}


def _of_cell(
    folder: Path, config: Config, figures: Sequence[str], step: Callable[[], None]
) -> dict[str, Any]:
    path = folder / FILE
    asked = {
        "figures": list(figures),
        "code": digest([Path(__file__), Path(rescored.__file__), Path(draws.__file__)]),
    }
    if path.exists() and (told := read_json(path, "what sites are worth")).get("asked") == asked:
        return dict(told["sites"])
    found = leave_one_out(folder, config, figures, step)
    write_json(path, {"asked": asked, "sites": found})
    return found


def leave_one_out(
    folder: Path, config: Config, figures: Sequence[str], step: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Left-out site -> the figures with "all" rows, "without" its own, and merged "anew", for which
    so many rows were too few, or "short"; and how the differences are "drawn" on redrawn "images".
    Nothing for a method that cannot forget a site, or does more than carry one bank."""
    method = method_of(config)
    if not isinstance(method, Forgetting) or [one.upload for one in method.rounds] != [Bank]:
        return {}
    embed = Embedder(config.embedder)
    sites = [ready(config, site, embed).site for site in sites_of(config)]
    model = load(folder / BANK, Bank)
    local = {site.name: _local_of(folder, config, site, embed) for site in sites if site.train}
    own = {name: one.own for name, one in local.items()}

    def measure(model: Any) -> Measured:
        step()
        return measured(config, sites, embed, model, own=own, figures=figures)

    found, whole = {}, measure(model)
    for name in local:
        some = [site for site in sites if site.name in local and site.name != name]
        left, short = learned_anew(config, some, embed, local) if some else (None, 0)
        less = method.without_site(model, name)
        told = {
            "all": whole,
            "without": measured(config, sites, embed, less, own=own, figures=figures),
            "anew": measure(left) if left else Measured({}, {}, {}),
        }
        found[name] = {
            **{what: one.figures for what, one in told.items()},
            "short": short,
            "images": whole.images,
            "drawn": {
                part: differences_of(told[more], told[less]) for part, (more, less) in PARTS.items()
            },
        }
    return found


def differences_of(more: Measured, less: Measured) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Judge -> category -> figure -> the paired difference (1 + R,) of what both have."""
    return {
        judge_: {
            category: {
                figure: np.round(drawn - less.drawn[judge_][category][figure], 6).tolist()
                for figure, drawn in of.items()
            }
            for category, of in by_category.items()
            if category in less.drawn.get(judge_, {})
        }
        for judge_, by_category in more.drawn.items()
    }


def learned_anew(
    config: Config, sites: Sequence[Site], embed: Embed, local: Mapping[str, Local]
) -> tuple[Any, int]:
    """The model that the server would make of these sites alone, weighted as the run's was; and by
    how many rows they fall short of `bank.size`, which is then all that they have."""
    size = min(config.bank.size, sum(len(local[site.name].upload) for site in sites))
    lowered = replace(config, bank=replace(config.bank, size=size))

    def fitted(config: Config, site: Site, *rest: Any) -> Local:
        return local[site.name]

    model = learn(lowered, sites, embed, fit_by=fitted).model
    return model, config.bank.size - size


def _local_of(folder: Path, config: Config, site: Site, embed: Embed) -> Local:
    """What a site had in a run: its own copy in the run folder, or made again."""
    kept = sorted((folder / "sites" / site.name).glob("**/own.safetensors"))
    if not kept:
        return fit(config, site, embed)
    own = load(kept[-1], Bank)
    return Local(own, own.sealed(site.name, config.wire.dtype), Unprotected("keep", {}))


def worth(seeds: Sequence[Mapping[str, Any]], figures: Sequence[str]) -> dict[str, Any]:
    """What leaving one site out costs each judging site: the mean over categories and seeds.

    `loss` is the figure with all rows less that without the site's; `gap` is what merging anew
    would win back, from banks that may be `short` of rows. Both have 95 % intervals over redrawn
    test images, and over seeds where there are some. `lost` are the categories that nobody else
    knows, left out of both.
    """
    found: dict[str, Any] = {}
    for judge_ in seeds[0]["all"]:
        known = [set(seed["without"].get(judge_, {})) for seed in seeds]
        every = set(seeds[0]["all"][judge_])
        short = max(seed.get("short", 0) for seed in seeds)
        found[judge_] = {"lost": sorted(every - known[0]), "loss": {}, "gap": {}, "short": short}
        for figure in figures:
            for what, (more, less) in PARTS.items():
                value = _mean_difference(seeds, judge_, figure, more, less)
                low, high, reason = _range(seeds, judge_, figure, what)
                ends = {"low": low, "high": high, "no_interval": reason}
                found[judge_][what][figure] = {"value": value, **ends}
    return found


def _range(seeds: Sequence[Mapping[str, Any]], judge_: str, figure: str, what: str) -> Range:
    """The 95 % interval of a mean difference, or why there is none."""
    told = {
        (category, k): np.array([number(value) for value in of[figure]])
        for k, seed in enumerate(seeds)
        for category, of in seed.get("drawn", {}).get(what, {}).get(judge_, {}).items()
        if of[figure] and not math.isnan(number(of[figure][0]))
    }
    categories = {category for category, _ in told}
    if not told:
        return Range.none(NOT_REDRAWN)
    images = (seeds[0]["images"][judge_].get(category, 0) for category in sorted(categories))
    return difference_range(overall(told), images)


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
