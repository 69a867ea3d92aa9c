"""How far each site's rows are from everybody else's, in usual distances: what `quota` goes by.

    python benchmarks/strangers.py [DIR] [--partition natural --sites 5]

DIR is in AutoVI's layout; without it the demo plants are drawn. For each product: the honest sites,
lowest to highest, and the last site if it attacks. From 2 on a site counts as a stranger.
"""

from __future__ import annotations

import argparse
from statistics import median_low

import numpy as np
from common import PUBLISHED, heading, origin, row

from fedad.aggregation.quota import JUDGED, _distance
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.running.attacked import Attacked, attacked_federation

ATTACKS = ("noise_ball", "outliers", "swapped", "blind")


def ratios(uploads: list[Bank]) -> list[float]:
    """The distance of each upload to the others, over the lower median of all."""
    far = [
        _distance(one.rows, [other.rows for other in uploads if other is not one])
        for one in uploads
    ]
    return [one / median_low(far) for one in far]


def of_product(name: str, uploads: list[Bank]) -> list[Bank]:
    parts = [upload.of_category(name) for upload in uploads if name in upload.categories]
    return [part for part in parts if len(part) >= JUDGED]


def table(federation: Attacked) -> None:
    """A row a product; where the liar has nothing of it, nobody attacks it."""
    honest = [federation.upload(site.name) for site in federation.sites if site.train]
    liar = honest[-1].sites[0]
    row("product", "sites", "honest", *ATTACKS)
    row(*["---"] * (3 + len(ATTACKS)))
    lies = {name: federation.lies(name)[liar] for name in ATTACKS}
    for name in sorted({name for upload in honest for name in upload.categories}):
        uploads = of_product(name, honest)
        if len(uploads) < 3:
            continue
        usual, attacked = ratios(uploads), [""] * len(ATTACKS)
        if name in honest[-1].categories:
            rivals = {attack: of_product(name, [*honest[:-1], lies[attack]]) for attack in ATTACKS}
            attacked = [f"{ratios(rivals[attack])[-1]:.2f}" for attack in ATTACKS]
        row(name, len(uploads), f"{np.min(usual):.2f} - {np.max(usual):.2f}", *attacked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="")
    parser.add_argument("--partition", default="natural")
    parser.add_argument("--sites", type=int, default=5)
    options = parser.parse_args()
    knobs: dict[str, str | int | float] = {
        **PUBLISHED,
        "data.partition": options.partition,
        "data.sites": options.sites,
    }
    if options.folder:
        knobs |= {"data.dataset": "autovi", "data.dir": options.folder}
    heading()
    print(f"{origin(options.folder)}, {options.partition}\n")
    table(attacked_federation(read(knobs)))


if __name__ == "__main__":
    main()
