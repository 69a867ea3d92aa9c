"""What attacks do to the honest sites, with and without each defence; means over seeds.

    python benchmarks/attacks.py [DIR] [--partition iid --sites 5] [--keep 0.33] [--seeds 3]

DIR is in AutoVI's layout; without it the demo plants are drawn. The last site lies. `--keep` is the
bank's share of what honest sites upload: at 1 the bank keeps every row, and nobody can be pushed
out of it. Each seed deals the images anew. Figures are means over products of all test images of
the honest sites; a change is against the same defence without the malicious site.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np
from common import PUBLISHED, heading, origin, row

from fedad.config import read
from fedad.plugins import names
from fedad.plumbing.progress import Bars, shown_by
from fedad.running.attacked import attacked_federation
from fedad.running.defences import ABSENT, DEFENCES, FIGURES, NOBODY, Trial, trials
from fedad.running.overlay import read_knobs

Found = dict[tuple[str, str], list[list[float]]]


def one_seed(options: argparse.Namespace, seed: int) -> list[Trial]:
    """All attacks under all defences for one deal of the images."""
    knobs: dict[str, str | int | float] = {
        **PUBLISHED,
        "data.partition": options.partition,
        "data.sites": options.sites,
        "round.seed": seed,
    }
    knobs |= read_knobs(options.set)
    if options.folder:
        knobs |= {"data.dataset": "autovi", "data.dir": options.folder}
    federation = attacked_federation(read(knobs), options.site)
    if options.keep < 1:
        rows = sum(len(federation.upload(site.name)) for site in federation.sites if site.train)
        bank = replace(federation.config.bank, size=int(options.keep * rows))
        federation = replace(federation, config=replace(federation.config, bank=bank))
    return list(trials(federation, options.attack))


def tables(found: Found, refused: set[tuple[str, str]]) -> None:
    """Figures of every attack and defence, and how far they are from `site absent`."""
    columns = [f"{name}: {' / '.join(FIGURES.values())}" for name in DEFENCES]
    row("attack", *columns)
    row(*["---"] * (1 + len(columns)))
    attacks = list(dict.fromkeys(name for name, _ in found))
    for name in sorted(attacks, key=lambda n: (n != NOBODY, n != ABSENT, n)):
        shown = [
            "refused: " * ((name, defence) in refused)
            + " / ".join(
                f"{value:.3f} ({value - base:+.3f})"
                for value, base in zip(
                    mean(found[name, defence]), mean(found[ABSENT, defence]), strict=True
                )
            )
            for defence in DEFENCES
        ]
        row(name, *shown)


def mean(values: list[list[float]]) -> list[float]:
    return np.mean(values, axis=0).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="")
    parser.add_argument("--partition", default="iid")
    parser.add_argument("--sites", type=int, default=5)
    parser.add_argument("--site", action="append", default=[])
    parser.add_argument("--keep", type=float, default=1 / 3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--attack", action="append", default=[])
    parser.add_argument("-c", "--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.attack = options.attack or names("attacks")
    found: Found = defaultdict(list)
    refused: set[tuple[str, str]] = set()
    with shown_by(Bars()):
        for seed in range(options.seeds):
            for cell in one_seed(options, seed):
                found[cell.attack, cell.defence].append(list(cell.figures.values()))
                refused |= {(cell.attack, cell.defence)} if cell.refused else set()
                print(seed, *cell, file=sys.stderr, flush=True)
    heading()
    print(
        f"{origin(options.folder)}, {' '.join([options.partition, *options.set])}, "
        f"bank of {options.keep:.0%} of the "
        f"uploads, means of {options.seeds} seeds\n"
    )
    tables(found, refused)


if __name__ == "__main__":
    main()
