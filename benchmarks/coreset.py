"""Greedy k-centre: ours beside anomalib's loop, and at the size of a plant.

    python benchmarks/coreset.py [--data DIR] [--large] [--million]

Both get the same projected features (anomalib's sparse random projection of four layers of
EfficientNet-Lite0) and start from the same row; the selections are compared before the times are.
`--large` selects 30,000 of 300,000 points and prints the loop's time extrapolated from its first
200 picks; `--million` runs a site of 1,000,000 patches within 2 GB.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import PUBLISHED, Peak, heading, origin, pairs, patches, row, threads

from fedad.config import read
from fedad.coresets.kcenter import kcenter
from fedad.round import fit
from fedad.scoring.nearest import nearest
from fedad.types import Features, Fingerprint, Sample, Site

LAYERS = "layer1,layer2,layer3,layer4"


def projected(count: int, data: str, width: int) -> np.ndarray:
    """(count, width) features by anomalib's own projection."""
    from anomalib.models.components.dimensionality_reduction import SparseRandomProjection

    torch.manual_seed(0)
    points = torch.from_numpy(patches(count, data, layers=LAYERS))
    projection = SparseRandomProjection(eps=0.9)
    projection.fit(points)
    return np.ascontiguousarray(projection.transform(points).numpy()[:, :width])


def loop(points: np.ndarray, size: int) -> list[int]:
    """anomalib's KCenterGreedy on features that are projected already."""
    from anomalib.models.components import KCenterGreedy

    torch.manual_seed(0)
    greedy = KCenterGreedy(torch.from_numpy(points), sampling_ratio=size / len(points))
    greedy.model = _Projected()
    greedy.coreset_size = size
    return greedy.select_coreset_idxs()


class _Projected:
    """Stands where anomalib projects: the points come projected."""

    def fit(self, points: torch.Tensor) -> None:
        pass

    def transform(self, points: torch.Tensor) -> torch.Tensor:
        return points


def ours(points: np.ndarray, size: int, start: int) -> np.ndarray:
    return kcenter(points, size, rng=np.random.default_rng(0), kept=(start,))


def against_anomalib(data: str, rounds: int) -> None:
    count, size = 47_000, 4_700
    points = projected(count, data, 265)
    with threads(1):
        theirs = loop(points, size)
        mine = ours(points, size, theirs[0])
        same = len(set(mine.tolist()) & set(theirs))
        order = int((mine == np.array(theirs)).sum())
        print(f"{origin(data)}: {same} of {size} rows are the same, {order} in the same place")
        row("points", "picks", "threads", "ours s", "anomalib s", "ratio")
        row(*6 * ["---"])
        times = pairs(lambda: ours(points, size, theirs[0]), lambda: loop(points, size), rounds)
        row(f"{count} x {points.shape[1]}", size, 1, *times)


def large(data: str) -> None:
    count, size, first = 300_000, 30_000, 200
    points = projected(count, data, 300)
    with threads(2):
        began = time.perf_counter()
        with Peak() as peak:
            ours(points, size, 0)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        loop(points, first)
        extrapolated = (time.perf_counter() - began) / first * size
    print(
        f"{origin(data)}: {count} x {points.shape[1]} -> {size}, 2 threads: {seconds:.0f} s wall; "
        f"memory {peak.above / points.nbytes:.2f} x the points ({peak.above / 2**20:.0f} MiB); "
        f"the loop, extrapolated from {first} picks: {extrapolated:.0f} s"
    )


def million(data: str, memory: float) -> None:
    """A site's own path, `round.fit`, over features that lie on disk."""
    with tempfile.TemporaryDirectory() as folder:
        stored = _million_on_disk(Path(folder) / "features.npy", data)
        samples = tuple(Sample("part", "train", "good", Path(f"{k:06d}")) for k in range(977))
        site = Site("plant", samples, ())
        with threads(2):
            for count, limit in ((977, memory), (98, 0.0), (98, SUBSET_MEMORY)):
                _site(replace(site, train=samples[:count]), stored, limit, data)


SUBSET_MEMORY = 0.31  # GB for a tenth of the site: too little to select directly


def _million_on_disk(path: Path, data: str) -> np.ndarray:
    """977 images of 1,024 patches: each real image four times, with a little noise."""
    some = patches(245 * 1024, data).reshape(245, 1024, -1)
    stored = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(977, 32, 32, some.shape[-1])
    )
    rng = np.random.default_rng(0)
    for k in range(977):
        noise = 0.1 * some[k % 245].std() * rng.standard_normal(some[0].shape, np.float32)
        stored[k] = (some[k % 245] + noise).reshape(stored.shape[1:])
    stored.flush()
    return np.load(path, mmap_mode="r")


def _site(site: Site, stored: np.ndarray, memory: float, data: str) -> None:
    mark = Fingerprint("stored", "", "", "", 3, 256, "")

    def embed(samples: Sequence[Sample]) -> Features:
        grid = np.stack([stored[int(sample.path.name)] for sample in samples])
        return Features(grid, ("part",) * len(grid), tuple(s.name for s in samples), mark)

    config = read({**PUBLISHED, "coreset.memory-gb": memory})
    began = time.perf_counter()
    with Peak() as peak:
        bank = fit(config, site, embed)
    seconds = time.perf_counter() - began
    actual = max(
        float(nearest(bank, stored[k].reshape(-1, stored.shape[-1])).distance.max())
        for k in range(len(site.train))
    )
    print(
        f"{origin(data)} with noise: {bank.patches.sum():,} x {bank.rows.shape[1]} -> "
        f"{len(bank):,}, memory {memory or 'no limit'} GB: {seconds:.0f} s wall, peak "
        f"{(peak.most) / 1e9:.2f} GB of which {peak.above / 1e9:.2f} GB during the call; covering "
        f"radius {actual:.2f}, stated bound {bank.radius:.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="", help="a data set in AutoVI's layout")
    parser.add_argument("--rounds", type=int, default=1, help="pairs against anomalib")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--memory", type=float, default=2.0, help="GB, with --million")
    options = parser.parse_args()
    heading()
    if options.large:
        large(options.data)
    elif options.million:
        million(options.data, options.memory)
    else:
        against_anomalib(options.data, options.rounds)


if __name__ == "__main__":
    main()
