"""What one round loses: banks of one size, made of rows that sites chose apart, and of all patches.

    python benchmarks/one_round.py DIR [--categories a,b] [--sites 4] [--images 5] [--size 128]

DIR is in AutoVI's layout. Of each category `--images` good images are dealt to each of `--sites`
sites, anew for every seed; all test images are ranked together. Every bank but the last has as many
rows as the centralised one, 10 % of all patches:

- local 10, 20, 40 %: one round, the server keeps what covers the uploads best;
- first row drawn: 10 %, and each site begins at a row drawn at random, not nearest the mean;
- second pass a + b: a % go up and are merged; then each site sends the b % that the merged bank
  covers worst;
- local 20 %, all kept: twice the rows.

Means over seeds of the figures, and of their difference from the centralised bank's with the lowest
and the highest; "up" is what is sent, in banks of 10 %.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from common import PUBLISHED

from fedad.config import read
from fedad.coresets.kcenter import kcenter
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.evaluation import spro_areas
from fedad.images.pixels import image_size, read_region
from fedad.judging.full_size import full_size
from fedad.search.nearest_rows import by_torch
from fedad.seeding import stream
from fedad.types import Sample

SHARE, LIMIT = 0.1, 0.05
Banks = Iterator[tuple[str, np.ndarray, float]]  # what it is called, its rows, what went up
Patches = Mapping[str, np.ndarray]  # site -> (n, D)


def select(points: np.ndarray, size: int, kept: Sequence[int] = ()) -> np.ndarray:
    return kcenter(points, size, rng=np.random.default_rng(0), kept=tuple(kept))


def banks(sites: Patches, seed: int) -> Banks:
    """The centralised bank, then the others."""
    every = np.concatenate([*sites.values()])
    size = int(SHARE * len(every))
    yield "centralised", every[select(every, size)], 0
    order = {name: select(points, int(0.4 * len(points))) for name, points in sites.items()}

    def uploads(share: float) -> np.ndarray:
        """The first rows of each site's selection, which are a smaller one."""
        return np.concatenate([p[order[n][: int(share * len(p))]] for n, p in sites.items()])

    def thin(rows: np.ndarray, kept: int = 1) -> np.ndarray:
        return rows if len(rows) <= size else rows[select(rows, size, range(kept))]

    for share in (0.1, 0.2, 0.4):
        yield f"local {100 * share:.0f} %", thin(uploads(share)), share / SHARE
    drawn = []
    for name, points in sites.items():
        first = int(stream(seed, name, "first").integers(len(points)))
        drawn.append(points[select(points, int(SHARE * len(points)), [first])])
    yield "first row drawn", np.concatenate(drawn), 1
    for some, more in ((0.05, 0.05), (0.05, 0.1), (0.1, 0.1)):
        merged = uploads(some)
        rest = [worst(merged, points, int(more * len(points))) for points in sites.values()]
        told = f"second pass {100 * some:.0f} + {100 * more:.0f} %"
        joined = np.concatenate([merged, *rest])
        yield told, thin(joined, len(merged) if len(merged) < size else 1), (some + more) / SHARE
    yield "local 20 %, all kept", uploads(0.2), 2


def worst(bank: np.ndarray, points: np.ndarray, count: int) -> np.ndarray:
    """The `count` points that cover what the bank covers worst, farthest first."""
    joined = np.concatenate([bank, points])
    return joined[select(joined, len(bank) + count, range(len(bank)))[len(bank) :]]


def figures(bank: np.ndarray, grid: np.ndarray, test: Sequence[Sample], side: int) -> list[float]:
    """Image AUROC and AUC-sPRO@0.05 of the test images by the nearest row."""
    patches = grid.reshape(-1, grid.shape[-1])
    rows = by_torch(bank, patches, "cpu", lambda done: None)
    maps = np.linalg.norm(patches - bank[rows], axis=1).reshape(grid.shape[:3])
    scores, good = maps.max((1, 2)), np.array([sample.is_good for sample in test])
    above = scores[~good][:, None] - scores[good]
    sizes = [image_size(sample.path) for sample in test]
    full = [
        full_size(one.astype(np.float32), size, side=side, sigma=2.0)
        for one, size in zip(maps, sizes, strict=True)
    ]
    regions = [
        [read_region(channel, size) for channel in sample.masks or ()]
        for sample, size in zip(test, sizes, strict=True)
    ]
    area = spro_areas(full, regions, [LIMIT])[LIMIT]
    return [float(((above > 0) + 0.5 * (above == 0)).mean()), area]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--categories", default="")
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    knobs = {"data.dataset": "autovi", "data.dir": given.folder, "embedder.size": given.size}
    config = read({**PUBLISHED, **knobs, "data.categories": given.categories})
    dataset, embed = open_dataset(config.data), Embedder(config.embedder)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(" ".join(["python", *sys.argv]))
    for category in dataset.categories:
        samples = [sample for sample in dataset.samples if sample.category == category]
        train = [sample for sample in samples if sample.split == "train"]
        test = [sample for sample in samples if sample.split == "test"]
        if given.sites * given.images > len(train):
            sys.exit(
                f"{category}: {len(train)} good images are fewer than {given.sites} sites need"
            )
        learned, judged = embed(train).grid, embed(test).grid
        found: dict[tuple[str, float], list[list[float]]] = defaultdict(list)
        for seed in range(given.seeds):
            dealt = stream(seed, category).permutation(len(train))
            sites = {
                f"site-{k}": learned[dealt[k :: given.sites][: given.images]].reshape(
                    -1, learned.shape[-1]
                )
                for k in range(given.sites)
            }
            for name, bank, up in banks(sites, seed):
                found[name, up].append(figures(bank, judged, test, given.size))
        report(category, found)


def report(category: str, found: Mapping[tuple[str, float], list[list[float]]]) -> None:
    central = np.array(found["centralised", 0])
    print(f"\n{category}:\n\n| bank | up | image AUROC | less centralised | AUC-sPRO | less |")
    print("|---|---|---|---|---|---|")
    for (name, up), seeds in found.items():
        cells = [name, f"{up:.1f}"]
        for mean, gaps in zip(np.mean(seeds, 0), (np.array(seeds) - central).T, strict=True):
            cells += [f"{mean:.3f}", f"{gaps.mean():+.3f} ({gaps.min():+.3f} to {gaps.max():+.3f})"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
