"""Fewer bytes on the wire: what codes and fewer rows cost in figures.

    python benchmarks/bytes.py [--data DIR] [--categories a,b] [--size 256] [--seeds 1]
        [--draws 0,11,12] [--only LABEL ...] [--wish LABEL=knob=value,knob=value ...]

Bytes are those of the uploads of all sites, and of what a site gets, as they are sent; of all
rounds. Figures are means over products, all sites' test images ranked together. The first line is
float32 with all rows; of the others the largest differences from it are told, of a mean and of any
figure of any product, and whether all means are within .005. Natural sites have nothing random in
them, so the demo's plants are drawn anew for each seed but 0; `--draws` names the seeds, in place
of the first so many. Below the table stand the differences product by product, means over seeds
with those of each seed.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

from common import PUBLISHED, heading, origin, row

from fedad import wire
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.evaluation import summarise
from fedad.judging.findings import Findings
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.round import examine, learn
from fedad.running.overlay import read_knobs

FIGURES = ("image_auroc", "pixel_auroc", "auc_spro_0.05")
NEAR = 0.005
WISHES = {
    "float32": {},
    "float16": {"wire.dtype": "float16"},
    "int8": {"wire.dtype": "int8"},
    "int8, 5 %": {"wire.dtype": "int8", "coreset.local-ratio": 0.05},
    "int8, 2 %": {"wire.dtype": "int8", "coreset.local-ratio": 0.02},
    "codes, 0.25 % lost": {"round.method": "coded_patchcore"},
    "codes, 0.8 % lost": {"round.method": "coded_patchcore", "coded_patchcore.loss": 0.008},
    "codes, 2 % lost": {"round.method": "coded_patchcore", "coded_patchcore.loss": 0.02},
}


class Measured(NamedTuple):
    """Of one seed: bytes, rows a product, and product -> figures."""

    up: int
    down: int
    rows: int
    figures: dict[str, list[float]]


def measure(config: Config) -> Measured:
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    embed, moved = Embedder(config.embedder), []

    def receive(turn, uploads):  # type: ignore[no-untyped-def]
        models = [turn.model] if turn.model is not None else []
        moved.append((sum(map(_bytes, uploads.values())), sum(map(_bytes, models))))
        return uploads

    learned = learn(config, [site for site in sites if site.train], embed, receive=receive)
    up = sum(sent for sent, _ in moved)
    down = sum(sent for _, sent in moved) + _bytes(learned.model)
    found = sum(
        (
            examine(config, site, embed, learned.model, {}, own=learned.own(site.name))
            for site in sites
        ),
        Findings(),
    )
    told = summarise(found.counts)["categories"]
    figures = {
        name: [float(one["figures"][key]["value"]) for key in FIGURES] for name, one in told.items()
    }
    return Measured(up, down, len(learned.model) // len(told), figures)


def _bytes(payload: object) -> int:
    return sum(wire.sizes(wire.pack(payload)).values())  # type: ignore[type-var]


def told(found: list[Measured], full: list[Measured], label: str) -> None:
    """A line of the table: means over seeds and products."""
    means = [_mean([v[k] for one in found for v in one.figures.values()]) for k in range(3)]
    of_means = [
        mean - _mean([v[k] for one in full for v in one.figures.values()])
        for k, mean in enumerate(means)
    ]
    of_products = [
        _mean([one.figures[name][k] for one in found])
        - _mean([one.figures[name][k] for one in full])
        for name in full[0].figures
        for k in range(3)
    ]
    up, down = (_mean([getattr(one, way) for one in found]) for way in ("up", "down"))
    ratio = _mean([one.up for one in full]) / up
    row(
        label,
        f"{_mean([one.rows for one in found]):,.0f}",
        f"{up / 1e6:.2f}",
        f"{down / 1e6:.2f}",
        f"{ratio:.1f}",
        *(f"{mean:.4f}" for mean in means),
        f"{max(of_means, key=abs):+.4f}",
        f"{max(of_products, key=abs):+.4f}",
        "yes" if max(map(abs, of_means)) <= NEAR else "no",
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def by_product(found: list[Measured], full: list[Measured]) -> dict[str, list[str]]:
    """Product -> its differences from all rows in float32, a cell a figure."""
    return {
        name: [
            _cell([one.figures[name][k] - of.figures[name][k] for one, of in zipped])
            for k in range(len(FIGURES))
        ]
        for name in full[0].figures
        for zipped in [list(zip(found, full, strict=True))]
    }


def _cell(differences: list[float]) -> str:
    each = ", ".join(f"{one:+.4f}" for one in differences)
    return f"{_mean(differences):+.4f} ({each})" if len(differences) > 1 else each


def plants(seed: int) -> dict[str, str]:
    """The knobs that read the demo's plants, drawn with this seed."""
    if not seed:
        return {}
    drawn, root = drawn_set("plants"), cache_root() / "presets" / f"plants-{seed}"
    provide(root, drawn, plan_of(drawn, seed=seed))
    return {"data.dataset": drawn.layout, "data.dir": str(root)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="", help="a data set in AutoVI's layout")
    parser.add_argument("--categories", default="")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--draws", default="", help="their seeds, such as 0,11,12")
    parser.add_argument("--only", action="append", default=[], help="a line's label")
    parser.add_argument("--wish", action="append", default=[], help="LABEL=knob=value,knob=value")
    options = parser.parse_args()
    data = {"data.dataset": "autovi", "data.dir": options.data} if options.data else {}
    if options.categories:
        data["data.categories"] = options.categories
    knobs = {**PUBLISHED, **data, "embedder.size": options.size, "score.replicates": 0}
    wishes = {label: WISHES[label] for label in options.only or WISHES}
    for wish in options.wish:
        label, _, rest = wish.partition("=")
        wishes[label] = dict(read_knobs(rest.split(",")))
    heading()
    seeds = [int(seed) for seed in options.draws.split(",") if seed] or [*range(options.seeds)]
    print(f"{origin(options.data)}, {options.size} pixels, seeds {', '.join(map(str, seeds))}\n")
    columns = ["wire", "rows a product", "MB up", "MB down a site", "times fewer", *FIGURES]
    columns += ["of a mean", "of a product", f"within {NEAR}"]
    row(*columns)
    row(*["---"] * len(columns))
    where = [(seed, {} if options.data else plants(seed)) for seed in seeds]
    lines: dict[str, list[Measured]] = {}
    for label, more in wishes.items():
        lines[label] = [
            measure(read({**knobs, **place, **more, "round.seed": seed})) for seed, place in where
        ]
        told(lines[label], next(iter(lines.values())), label)
    (_, full), *rest = lines.items()
    if not rest:
        return
    print()
    row("less the first line", "product", *FIGURES)
    row(*["---"] * (2 + len(FIGURES)))
    for label, found in rest:
        for name, cells in by_product(found, full).items():
            row(label, name, *cells)


if __name__ == "__main__":
    main()
