"""How fast the figures are, against a plain threshold loop: `python benchmarks/spro.py`.

The loop does for each of 1,000 thresholds and each image one comparison of the whole map and one
count a region (the pixels outside all regions being one), as the definition of sPRO reads. It and
the exact curve see the same arrays, in one process and one thread, and their areas are compared.
Thresholds are float64, as the official evaluator's are; *typed* is the same loop with thresholds
of the maps' own type, which spares NumPy a conversion. The evaluator itself takes about seven
times as long as the loop.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from fedad.evaluation import (
    LIMITS,
    Counts,
    Scored,
    bootstrap,
    evaluate,
    pack,
    resample,
    spro_areas,
)
from fedad.types import Region

Case = tuple[list[np.ndarray], list[list[Region]]]  # maps, and the regions of each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=70, help="of 400 x 400 (default 70)")
    parser.add_argument("--thresholds", type=int, default=1000, help="of the loop (default 1000)")
    parser.add_argument("--files", type=int, default=400, help="of 1000 x 750; 0 leaves them out")
    given = parser.parse_args()
    print(f"$ python {' '.join(sys.argv)}\n{_machine()}\n")
    drawn = draw(given.maps, (400, 400), np.random.default_rng(0))
    print("| maps of 400 x 400 | loop s | typed s | exact s, median of 15 | ratio | typed | off |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for dtype in ("uint8", "uint16", "float32"):
        compare(as_type(drawn, dtype), dtype, given.thresholds)
    print("\n| peak memory, maps included, as a multiple of the maps | AUC-sPRO |\n|---|--:|")
    for dtype in ("uint8", "uint16", "float32"):
        print(f"| {given.maps} x {dtype} | {peak(as_type(drawn, dtype)):.2f} |")
    print()
    resampling(as_type(drawn, "float32"))
    for dtype in ("uint16", "float32") if given.files else ():
        from_files(given.files, dtype)


def plain_loop(case: Case, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve at `thresholds` (T,), descending: false-positive rate and mean sPRO."""
    maps, regions = case
    outside = [~np.any([one.mask for one in found], axis=0) if found else None for found in regions]
    passed, covered = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for k, threshold in enumerate(thresholds):
        for scores, found, rest in zip(maps, regions, outside, strict=True):
            above = scores >= threshold
            passed[k] += np.count_nonzero(above if rest is None else above & rest)
            for one in found:
                covered[k] += min(np.count_nonzero(above & one.mask) / one.saturation, 1)
    negatives = sum(np.count_nonzero(rest) if rest is not None else 0 for rest in outside)
    negatives += sum(
        scores.size for scores, rest in zip(maps, outside, strict=True) if rest is None
    )
    return passed / negatives, covered / sum(map(len, regions))


def compare(case: Case, dtype: str, count: int) -> None:
    """A row of the table; `off` is the largest difference of the areas."""
    maps, regions = case
    thresholds = np.quantile(np.concatenate([scores.ravel() for scores in maps]), _shares(count))
    loop, (x, y) = timed(lambda: plain_loop(case, thresholds), 1)
    typed, _ = timed(lambda: plain_loop(case, thresholds.astype(dtype)), 1)
    seconds, found = timed(lambda: spro_areas(maps, regions))
    off = max(abs(area_below(x, y, limit) - found[limit]) for limit in LIMITS)
    print(
        f"| {len(maps)} x {dtype} | {loop:.2f} | {typed:.2f} | {seconds:.4f} | "
        f"{loop / seconds:.0f}x | {typed / seconds:.0f}x | {off:.0e} |"
    )


def _shares(count: int) -> np.ndarray:
    """Quantiles from the highest score to the lowest, dense where few negatives score."""
    low = np.geomspace(1e-6, 1, count // 2)
    return 1 - np.sort([*low, *np.linspace(0, 1, count - len(low))])


def area_below(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    xs = np.concatenate([[0], x[x < limit], [limit]])
    return float(np.trapezoid(np.interp(xs, [0, *x], [0, *y]), xs) / limit)


def peak(case: Case) -> float:
    """The most memory in use while the areas are computed, maps included, per byte of the maps."""
    tracemalloc.start()
    spro_areas(*case)
    beyond = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 1 + beyond / sum(scores.nbytes for scores in case[0])


def resampling(case: Case) -> None:
    """What a site sends: its counts, and 200 replicates for the intervals."""
    images = [
        Scored(scores, tuple(found), "drawn", "defect" if found else "good")
        for scores, found in zip(*case, strict=True)
    ]
    seconds, counts = timed(lambda: reduce(add, map(Counts.of, images)), 3)
    print(f"counts of {len(images)} images: {seconds:.2f} s, {sent(counts):,} bytes")
    coarse = [Counts.coarse(image) for image in images]
    seconds, drawn = timed(lambda: resample(coarse, 200, rng=np.random.default_rng(0)), 3)
    print(f"200 replicates of them: {seconds:.2f} s, {sent(drawn):,} bytes")
    seconds, _ = timed(lambda: bootstrap(coarse, 10_000, rng=np.random.default_rng(0)), 1)
    print(f"10,000 replicates and all their figures: {seconds:.1f} s\n")


def sent(counts: Counts) -> int:
    """The bytes of the arrays that travel."""
    return sum(array.nbytes for array in pack(counts)[1].values())


def from_files(count: int, dtype: str) -> None:
    """`fedad evaluate` on maps of 1000 x 750 in files, reading and 10,000 resamples included."""
    with tempfile.TemporaryDirectory() as folder:
        data, maps = Path(folder, "data"), Path(folder, "maps")
        size = write_files(count, dtype, data, maps)
        for replicates in (0, 10_000):
            began = time.perf_counter()
            evaluate(data, maps, replicates=replicates)
            seconds = time.perf_counter() - began
            print(
                f"evaluate, {count} {dtype} maps of 1000 x 750 ({size / 1e9:.2f} GB), "
                f"{replicates:,} resamples: {seconds:.1f} s"
            )


def write_files(count: int, dtype: str, data: Path, maps: Path) -> int:
    """A category in AutoVI's layout with `count` test images and their maps; the maps' bytes."""
    rng, size = np.random.default_rng(1), 0
    category = data / "drawn"
    for k in range(count):
        case = as_type(draw(1, (750, 1000), rng, defective=k % 2 == 1), dtype)
        defect = ("missing", "scratch", "bent")[k % 3] if k % 2 else "good"
        image = category / "test" / defect / f"{k:04d}.png"
        for channel, region in enumerate(case[1][0]):
            mask = category / "ground_truth" / defect / f"{k:04d}" / f"{channel:04d}.png"
            _save(mask, Image.fromarray(region.mask.astype(np.uint8) * 255))
        _save(image, Image.new("L", (1000, 750)))
        path = maps / "drawn" / "test" / defect / f"{k:04d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if dtype == "uint16":
            Image.fromarray(case[0][0]).save(path.with_suffix(".png"), compress_level=1)
        else:
            np.save(path.with_suffix(".npy"), case[0][0])
        size += case[0][0].nbytes
    config = {"defect_name": "drawn", "pixel_value": 255, "saturation_threshold": 0.7}
    text = json.dumps([config | {"relative_saturation": True}])
    (category / "defects_config.json").write_text(text)
    return size


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def draw(
    count: int, shape: tuple[int, int], rng: np.random.Generator, *, defective: bool | None = None
) -> Case:
    """Smooth maps (float64, 0 to 1), half of them with one to three regions that score higher."""
    maps, regions = [], []
    for k in range(count):
        scores = 8 * gaussian_filter(rng.normal(size=shape), 4) + 0.05 * rng.normal(size=shape)
        found = []
        for _ in range(1 + k // 2 % 3 if (k % 2 if defective is None else defective) else 0):
            mask = np.zeros(shape, bool)
            y, x = rng.integers(0, shape[0] - 70), rng.integers(0, shape[1] - 70)
            mask[y : y + rng.integers(20, 70), x : x + rng.integers(20, 70)] = True
            scores[mask] += rng.uniform(0.2, 1.5)
            found.append(Region(mask, max(1, round(rng.uniform(0.3, 1) * np.count_nonzero(mask)))))
        maps.append(1 / (1 + np.exp(-scores)))
        regions.append(found)
    return maps, regions


def as_type(case: Case, dtype: str) -> Case:
    """The same maps as integers over their whole range, or as floats."""
    top = np.iinfo(dtype).max if dtype.startswith("u") else 1
    return [(scores * top).astype(dtype) for scores in case[0]], case[1]


def timed(call: Callable[[], Any], repeats: int = 15) -> tuple[float, Any]:
    """The median of some runs in seconds, and what the last one gave."""
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names: Sequence[str] = [line.split(":")[1].strip() for line in lines if "model name" in line]
    cpu = f"{len(names)} x {names[0]}" if names else platform.processor()
    return (
        f"{cpu}, {platform.system()} {platform.release()}; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Pillow {Image.__version__}; one thread"
    )


if __name__ == "__main__":
    main()
