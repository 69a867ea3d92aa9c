"""A tree of servers beside one: regions merge their plants' banks, a head merges theirs.

    python benchmarks/regions.py [--sites 100] [--regions 4] [--images 120] [--share 0.15]
        [--keep 1.5] [--seeds 3]

Drawn plants' good images are dealt out to so many sites, alike; each site's bank is made once. One
server keeps `--share` of all rows; in the tree each region keeps `--keep` times its part of that,
and the head merges the regions' banks to as many rows, by the same function, which takes a merged
bank as it is. Each merge has a process of its own, which reads its files: its memory is the most it
held above what it held before. All test images are judged by both banks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import PUBLISHED, Peak, heading, row

from fedad.banks.bank import Bank
from fedad.config import Config, read
from fedad.datasets.base import open_dataset
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.judging.findings import Findings
from fedad.messages.file import load, save
from fedad.partition import partition
from fedad.plumbing.files import cache_root
from fedad.plumbing.progress import Bars, shown_by
from fedad.round import examine, fit, merge
from fedad.types import Site

FIGURES = ("image_auroc", "auc_spro_0.05")


def drawn(images: int) -> Path:
    """Three plants' products, `images` good ones of each at each plant."""
    folder = cache_root() / f"regions-{images}"
    kind = drawn_set("plants")
    plan = plan_of(kind, images=images, size=256, seed=7, sites=3, good=12, defective=12)
    provide(folder, kind, plan)
    return folder


def merged(config: Config, files: Sequence[Path], out: Path) -> dict[str, float]:
    """Merge files in a process of its own: seconds, and bytes of memory."""
    told = {"config": config.flat(), "files": [str(file) for file in files], "out": str(out)}
    command = [sys.executable, __file__, "--merge"]
    done = subprocess.run(
        command, input=json.dumps(told), text=True, stdout=subprocess.PIPE, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def merge_here() -> None:
    """What the process of one merge does."""
    told = json.loads(sys.stdin.read())
    config = read({**told["config"], "round.resume": False})
    few = sized(config, 100)
    merge(few, [load(Path(told["files"][0]), Bank)])  # what is imported once is no merge's memory
    with Peak() as peak:
        began = time.perf_counter()
        bank = merge(config, [load(Path(file), Bank) for file in told["files"]])
        seconds = time.perf_counter() - began
    save(Path(told["out"]), bank, private=False, method=config.round.method)
    print(json.dumps({"seconds": seconds, "bytes": peak.above, "rows": len(bank)}))


def figures(config: Config, sites: Sequence[Site], embed: Embedder, bank: Bank) -> dict[str, float]:
    """All test images by one bank, in one ranking a product, the mean over products."""
    found = sum((examine(config, site, embed, bank, {}) for site in sites), Findings())
    return {name: float(found.report["mean"][name]["value"]) for name in FIGURES}


def sized(config: Config, rows: int) -> Config:
    """The configuration of a merge that keeps so many rows."""
    return replace(config, bank=replace(config.bank, size=rows))


def compared(asked: argparse.Namespace, seed: int, folder: Path) -> list[list[Any]]:
    """A line for one server and one for the tree."""
    knobs = {
        **PUBLISHED,
        "data.dataset": "autovi",
        "data.dir": str(drawn(asked.images)),
        "data.partition": "iid",
        "data.sites": asked.sites,
        "coreset.local-ratio": 0.2,
        "round.seed": seed,
    }
    config = read(knobs)
    embed = Embedder(config.embedder)
    sites = partition(open_dataset(config.data), config.data, seed=seed)
    files = []
    for site in sites:
        files.append(folder / f"{site.name}.safetensors")
        upload = fit(config, site, embed).upload
        save(files[-1], upload, private=False, method=config.round.method)
    size = round(asked.share * sum(len(load(file, Bank)) for file in files))
    final, region = sized(config, size), sized(config, round(asked.keep * size / asked.regions))
    one = merged(final, files, folder / "one.safetensors")
    parts = [files[k :: asked.regions] for k in range(asked.regions)]
    heads = [folder / f"region-{k}.safetensors" for k in range(asked.regions)]
    regions = [merged(region, part, head) for part, head in zip(parts, heads, strict=True)]
    head = merged(final, heads, folder / "tree.safetensors")
    lines = []
    for name, each, file in (
        ("one server", [one], "one"),
        ("tree", [*regions, head], "tree"),
    ):
        bank = load(folder / f"{file}.safetensors", Bank)
        found = figures(config, sites, embed, bank)
        lines.append(
            [
                seed,
                name,
                len(bank),
                *(f"{found[figure]:.4f}" for figure in FIGURES),
                f"{max(part['bytes'] for part in each) / 2**20:.0f}",
                f"{sum(part['seconds'] for part in each):.1f}",
                f"{max(part['seconds'] for part in each):.1f}",
            ]
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--share", type=float, default=0.15, help="of all rows that are kept")
    parser.add_argument("--keep", type=float, default=1.5, help="a region's rows, by its part")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--merge", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.merge:
        merge_here()
        return
    heading()
    print(f"drawn plants, {asked.images} good images a plant and product, dealt out alike\n")
    row("seed", "server", "rows", *FIGURES, "MiB, the largest", "s, all", "s, the longest")
    row(*["---"] * 8)
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as folder, shown_by(Bars()):
            for line in compared(asked, seed, Path(folder)):
                row(*line)


if __name__ == "__main__":
    main()
