"""Isolated, federated and centralised figures on a data set: every merge, scope and local ratio.

    python benchmarks/merges.py DIR [--seeds 3]

DIR is in AutoVI's layout with a sites.csv a category. All banks of a scope have as many rows,
10 % of all good patches; a local ratio of 20 % leaves the server rows to choose from. Figures are
given twice: all sites' test images ranked together, and each site's own ranking, averaged over
sites by test images. Isolated sites have a bank each, and so no common ranking. Means over seeds,
with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from common import PUBLISHED

from fedad.banks.bank import Bank
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embed, Embedder
from fedad.evaluation import summarise
from fedad.judging.findings import Findings
from fedad.partition import partition
from fedad.plumbing.progress import Bars, shown_by
from fedad.round import examine, fit, merge
from fedad.types import Site
from fedad.yardsticks import ALL, isolated

FIGURES = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "auc_spro_0.05": "AUC-sPRO@0.05",
}
MERGES = ("federated_coreset", "concatenate", "diversity_preserving")
Figures = dict[str, dict[str, float]]  # category -> figures by key


def ways(
    config: Config, sites: tuple[Site, ...], embed: Embed
) -> Iterator[tuple[str, dict[str, Findings]]]:
    """(way of sharing, what each site found) for one seed."""
    for scope in ("category", "mixed"):
        scoped = replace(config, bank=replace(config.bank, scope=scope))
        yield f"{scope} | isolated | 10 %", isolated(scoped, sites, embed)
        everything = Site(ALL, tuple(s for site in sites for s in site.train), ())
        central = merge(scoped, [sealed(scoped, everything, embed)])
        yield f"{scope} | centralised | 10 %", judged(scoped, sites, embed, central)
        for ratio in (0.1, 0.2):
            local = replace(scoped, coreset=replace(scoped.coreset, local_ratio=ratio))
            uploads = [sealed(local, site, embed) for site in sites if site.train]
            size = min(len(central), sum(map(len, uploads)))
            for name in MERGES:
                how = replace(
                    local,
                    merge=replace(local.merge, aggregation=name),
                    bank=replace(local.bank, size=size),
                )
                found = judged(how, sites, embed, merge(how, uploads))
                yield f"{scope} | {name} | {100 * ratio:.0f} %", found


def sealed(config: Config, site: Site, embed: Embed) -> Bank:
    upload: Bank = fit(config, site, embed).upload
    return upload


def judged(
    config: Config, sites: tuple[Site, ...], embed: Embed, bank: Bank
) -> dict[str, Findings]:
    return {site.name: examine(config, site, embed, bank, {}) for site in sites}


def together(findings: dict[str, Findings]) -> Figures:
    """The figures of all sites' test images in one ranking."""
    found = sum(findings.values(), Findings())
    return {name: read_off(told) for name, told in summarise(found.counts)["categories"].items()}


def averaged(findings: dict[str, Findings]) -> Figures:
    """Each site's own figures, averaged by test images; sites with nothing to rank are left out."""
    of: dict[str, list[tuple[int, dict[str, float]]]] = defaultdict(list)
    for found in findings.values():
        for name, told in summarise(found.counts)["categories"].items():
            images = told["sizes"]["good_images"] + told["sizes"]["defective_images"]
            of[name].append((images, read_off(told)))
    return {
        name: {key: weighted([(images, one[key]) for images, one in sites]) for key in FIGURES}
        for name, sites in of.items()
    }


def read_off(told: dict[str, Any]) -> dict[str, float]:
    return {key: told["figures"][key]["value"] for key in FIGURES}


def weighted(pairs: list[tuple[int, float]]) -> float:
    known = [(images, value) for images, value in pairs if not math.isnan(value)]
    return sum(images * value for images, value in known) / sum(images for images, _ in known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--dataset", default="autovi")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for seed in range(options.seeds):
        place = {"data.dataset": options.dataset, "data.dir": options.folder}
        knobs = {**PUBLISHED, **place, "round.seed": seed}
        config = read(knobs)
        embed = Embedder(config.embedder)
        sites = partition(open_dataset(config.data), config.data, seed=seed)
        with shown_by(Bars()):
            for way, findings in ways(config, sites, embed):
                print(f"seed {seed}: {way}", file=sys.stderr, flush=True)
                for ranking, measured in (("together", together), ("by site", averaged)):
                    if ranking == "together" and "isolated" in way:
                        continue
                    for category, figures in measured(findings).items():
                        found[ranking, way, category].append(figures)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"python benchmarks/merges.py {options.folder} --seeds {options.seeds}")
    for ranking in ("together", "by site"):
        print(f"\nTest images ranked {ranking}:\n")
        print(f"| scope | way | local ratio | category | {' | '.join(FIGURES.values())} |")
        print("|---|---|---|---|---|---|---|")
        for (which, way, category), runs in found.items():
            if which == ranking:
                cells = (shown([run[key] for run in runs]) for key in FIGURES)
                print(f"| {way} | {category} | {' | '.join(cells)} |")


def shown(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} - {max(values):.4f})"


if __name__ == "__main__":
    main()
