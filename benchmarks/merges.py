"""Isolated, federated and centralised figures on a data set: every merge, scope and local ratio.

    python benchmarks/merges.py DIR [--seeds 3]

DIR is in AutoVI's layout with a sites.csv a category. All banks of a scope have as many rows,
10 % of all good patches; a local ratio of 20 % leaves the server rows to choose from. Figures are
of all sites' test images together, means over seeds with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import torch

from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embed, Embedder
from fedad.findings import Findings
from fedad.metrics import Counts, report
from fedad.partition import partition
from fedad.progress import Bars, shown_by
from fedad.round import examine, fit, merge, seal
from fedad.types import Bank, Site
from fedad.yardsticks import ALL, isolated

FIGURES = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "auc_spro_0.05": "AUC-sPRO@0.05",
}
MERGES = ("federated_coreset", "concatenate", "diversity_preserving")


def ways(config: Config, sites: tuple[Site, ...], embed: Embed) -> Iterator[tuple[str, Counts]]:
    """(way of sharing, counts of all sites) for one seed."""
    for scope in ("category", "mixed"):
        scoped = replace(config, bank=replace(config.bank, scope=scope))
        yield f"{scope} | isolated | 10 %", total(isolated(scoped, sites, embed))
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
                bank = merge(how, uploads)
                yield f"{scope} | {name} | {ratio:.0%}", judged(how, sites, embed, bank)


def sealed(config: Config, site: Site, embed: Embed) -> Bank:
    return seal(config, site.name, fit(config, site, embed))


def judged(config: Config, sites: tuple[Site, ...], embed: Embed, bank: Bank) -> Counts:
    return total({s.name: examine(config, s, embed, bank, {}) for s in sites})


def total(findings: dict[str, Findings]) -> Counts:
    return sum(findings.values(), Findings()).counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--dataset", default="autovi")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for seed in range(options.seeds):
        config = read(
            {"data.dataset": options.dataset, "data.dir": options.folder, "round.seed": seed}
        )
        embed = Embedder(config.embedder)
        sites = partition(open_dataset(config.data), config.data, seed=seed)
        with shown_by(Bars()):
            for way, counts in ways(config, sites, embed):
                for category, told in report(counts)["categories"].items():
                    figures = {key: told["figures"][key]["value"] for key in FIGURES}
                    found[way, category].append(figures)
                    print(seed, way, category, figures, file=sys.stderr, flush=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"python benchmarks/merges.py {options.folder} --seeds {options.seeds}\n")
    print(f"| scope | way | local ratio | category | {' | '.join(FIGURES.values())} |")
    print("|---|---|---|---|---|---|---|")
    for (way, category), runs in found.items():
        cells = (shown([run[key] for run in runs]) for key in FIGURES)
        print(f"| {way} | {category} | {' | '.join(cells)} |")


def shown(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} - {max(values):.4f})"


if __name__ == "__main__":
    main()
