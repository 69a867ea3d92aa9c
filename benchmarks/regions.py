"""A tree of servers beside one: regions merge their plants' banks, a head merges theirs.

    python benchmarks/regions.py [--sites 100] [--regions 4] [--images 120] [--share 0.15]
        [--keep 1.5 2] [--same-pool] [--seeds 3] [--orders 1] [--rows 0]

Drawn plants' good images are dealt out to so many sites, alike; each site's bank is made once. One
server keeps `--share` of all rows; in the tree each region keeps `--keep` times its part of that,
and the head merges the regions' banks to as many rows, by the same function, which takes a merged
bank as it is. Each merge has a process of its own, which reads its files: its memory is the most it
held above what it held before. All test images are judged by both banks.

A server takes `merge.oversample` times a site's part into the pool that it chooses from, a region
as many times `--keep`. With `--same-pool` a region takes what one server would of each site, so
that the head chooses from a part of one server's pool, or with `--keep 2` from all of it.

With `--orders` the sites then get each other's names, in an order that is drawn, as often as told:
one server begins its selection with another row, and regions are of other sites. So its figures
say how far one server is from itself.

With `--rows` no image is embedded and none judged: so many rows of 152 numbers in clumps are drawn
and dealt out to the sites, for memory and seconds alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
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
from fedad.types import Fingerprint, Site

FIGURES = ("image_auroc", "auc_spro_0.05")
FEATURES, MIB = 152, 2**20


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


def sized(config: Config, rows: int, over: float = 1.0) -> Config:
    """The configuration of a merge that keeps so many rows, and its pool `over` times smaller."""
    knobs = replace(config.merge, oversample=max(1.0, config.merge.oversample / over))
    return replace(config, bank=replace(config.bank, size=rows), merge=knobs)


def configured(asked: argparse.Namespace, seed: int) -> Config:
    """The run's configuration."""
    knobs = {
        **PUBLISHED,
        "data.dataset": "autovi",
        "data.dir": "." if asked.rows else str(drawn(asked.images)),
        "data.partition": "iid",
        "data.sites": asked.sites,
        "coreset.local-ratio": 0.2,
        "round.seed": seed,
    }
    return read(knobs)


def uploaded(
    config: Config, sites: Sequence[Site], embed: Embedder, folder: Path
) -> tuple[list[Path], int]:
    """Each site's bank in a file of its own, and how many rows there are in all."""
    files, rows = [], 0
    for site in sites:
        files.append(folder / f"{site.name}.safetensors")
        upload = fit(config, site, embed).upload
        save(files[-1], upload, private=False, method=config.round.method)
        rows += len(upload)
    return files, rows


def drawn_uploads(asked: argparse.Namespace, seed: int, folder: Path) -> tuple[list[Path], int]:
    """The same, of rows that are drawn around 500 centres that all sites share."""
    rng, each = np.random.default_rng(seed), asked.rows // asked.sites
    centres = rng.normal(size=(500, FEATURES)).astype(np.float32)
    files = []
    for number in range(asked.sites):
        near = centres[rng.integers(len(centres), size=each)]
        rows = near + 0.3 * rng.normal(size=near.shape).astype(np.float32)
        files.append(folder / f"site-{number:04d}.safetensors")
        bank = bank_of(f"site-{number:04d}", rows)
        save(files[-1], bank, private=False, method="patchcore")
    return files, each * asked.sites


def bank_of(site: str, rows: np.ndarray) -> Bank:
    """The upload of a site with these rows (M, D) float32, of one product."""
    count = len(rows)
    return Bank(
        rows=rows,
        category=np.zeros(count, np.int32),
        site=np.zeros(count, np.int32),
        row=np.arange(count, dtype=np.int32),
        categories=("part",),
        sites=("",),
        images=np.array([[1]]),
        patches=np.array([[count]]),
        fingerprint=Fingerprint("drawn", "0" * 64, "layer2", "own", 1, 256, "none", patches=count),
    ).sealed(site, "float32")


def renamed(files: Sequence[Path], order: int, folder: Path) -> list[Path]:
    """The same uploads under each other's names; as they are in the first order."""
    if not order:
        return list(files)
    folder.mkdir()
    drawn = np.random.default_rng(order).permutation(len(files))
    for file, of in zip(files, drawn, strict=True):
        bank = load(files[of], Bank).replace(sites=(file.stem,))
        save(folder / file.name, bank, private=False, method="patchcore")
    return [folder / file.name for file in files]


class Merged(NamedTuple):
    """A bank that one server or a tree has made, and what each of its merges took."""

    name: str
    file: Path
    each: list[dict[str, float]]


def both(
    asked: argparse.Namespace, config: Config, files: Sequence[Path], rows: int, folder: Path
) -> Iterator[Merged]:
    """One server, then for each `--keep` the tree."""
    size = round(asked.share * rows)
    final = sized(config, size)
    yield Merged("one server", folder / "one", [merged(final, files, folder / "one")])
    parts = [files[k :: asked.regions] for k in range(asked.regions)]
    for keep in asked.keep:
        over = keep if asked.same_pool else 1.0
        region = sized(config, round(keep * size / asked.regions), over)
        heads = [folder / f"region-{keep}-{k}" for k in range(asked.regions)]
        regions = [merged(region, part, head) for part, head in zip(parts, heads, strict=True)]
        out = folder / f"tree-{keep}"
        yield Merged(f"tree, {keep:g} times", out, [*regions, merged(final, heads, out)])


def compared(asked: argparse.Namespace, seed: int, folder: Path) -> Iterator[list[Any]]:
    """A line for one server, and one for each tree, in each order of the sites."""
    config = configured(asked, seed)
    embed: Embedder | None = None
    sites: Sequence[Site] = ()
    if asked.rows:
        files, rows = drawn_uploads(asked, seed, folder)
    else:
        embed = Embedder(config.embedder)
        sites = partition(open_dataset(config.data), config.data, seed=seed)
        files, rows = uploaded(config, sites, embed, folder)
    for order in range(asked.orders):
        place = folder / f"order-{order}"
        ordered = renamed(files, order, place)
        first: set[Any] = set()
        for one in both(asked, config, ordered, rows, folder):
            bank = load(one.file, Bank)
            first = first or whose(bank)
            found = figures(config, sites, embed, bank) if embed else {}
            regions = [part["bytes"] / MIB for part in one.each[:-1]]
            yield [
                *(seed, order, one.name, len(bank)),
                *(f"{found[figure]:.4f}" if found else "" for figure in FIGURES),
                f"{len(first & whose(bank)) / len(first):.3f}",
                f"{max(regions):.0f}" if regions else "",
                f"{one.each[-1]['bytes'] / MIB:.0f}",
                f"{sum(part['seconds'] for part in one.each):.1f}",
                f"{max(part['seconds'] for part in one.each):.1f}",
            ]


def whose(bank: Bank) -> set[tuple[str, str, int]]:
    """Which rows of which sites and products a bank has."""
    columns = zip(bank.site.tolist(), bank.category.tolist(), bank.row.tolist(), strict=True)
    return {(bank.sites[site], bank.categories[part], row) for site, part, row in columns}


def spread(lines: Sequence[Sequence[Any]]) -> Iterator[str]:
    """What figures are over orders and seeds, and how far a tree's are from one server's."""
    servers = {line[2]: [one for one in lines if one[2] == line[2]] for line in lines}
    first = next(iter(servers.values()))
    for name, mine in servers.items():
        for at, figure in enumerate(FIGURES, start=4):
            values = [float(line[at]) for line in mine]
            off = [one - float(other[at]) for one, other in zip(values, first, strict=True)]
            yield (
                f"{name}, {figure}: {_told(values)}, from {min(values):.4f} to {max(values):.4f}"
                + (f"; less one server's {_told(off)}" if mine is not first else "")
            )


def _told(values: Sequence[float]) -> str:
    """The mean, and the standard deviation of one."""
    return f"{statistics.mean(values):.4f} +- {statistics.stdev(values):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--share", type=float, default=0.15, help="of all rows that are kept")
    parser.add_argument(
        "--keep", type=float, nargs="+", default=[1.5, 2.0], help="a region's rows, by its part"
    )
    parser.add_argument("--same-pool", action="store_true", help="regions take what one would")
    parser.add_argument("--orders", type=int, default=1, help="of the sites' names, of each seed")
    parser.add_argument("--rows", type=int, default=0, help="drawn ones in place of images")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--merge", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.merge:
        merge_here()
        return
    heading()
    what = (
        f"{asked.rows:,} drawn rows" if asked.rows else f"drawn plants, {asked.images} good images"
    )
    print(f"{what}, dealt out alike to {asked.sites} sites\n")
    row(
        *("seed", "order", "server", "rows", *FIGURES, "one server's rows, of all"),
        *("MiB, the largest region", "MiB, the server or head", "s, all", "s, the longest"),
    )
    row(*["---"] * 11)
    lines = []
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as folder, shown_by(Bars()):
            for line in compared(asked, seed, Path(folder)):
                row(*line)
                lines.append(line)
    if not asked.rows and asked.seeds * asked.orders > 1:
        print("", *spread(lines), sep="\n")


if __name__ == "__main__":
    main()
