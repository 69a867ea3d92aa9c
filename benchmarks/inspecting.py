"""Latency of one picture at a time, overlay included: `fedad inspect`, warm.

    python benchmarks/inspecting.py [--good 60] [--pictures 60] [--sizes 256 384] [--threads 2]

A model is built alone from good parts of one drawn product, as `fedad bank build --models` does.
Then pictures of 640 x 480 are judged one by one, from the file to the PNG of its overlay. Wall
seconds hang on what else the machine does; processor seconds, of all threads together, less so.
Beside it, where it is installed, anomalib's PatchCore: its own model with as many rows of the same
network, from the file to its map, without an overlay.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import heading, row, threads
from PIL import Image

from fedad.config import read
from fedad.datasets.synthetic import synthetic
from fedad.inspection.inspector import Inspector
from fedad.inspection.opened import open_inspector
from fedad.inspection.overlay import as_png, overlay
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.plumbing.files import cache_root

SIZE = (640, 480)  # pixels of a picture


def drawn(folder: Path, good: int, pictures: int) -> list[Path]:
    """Good parts of a drawn product to learn from, and pictures to judge: files of 640 x 480."""
    samples = [one for one in synthetic(cache_root() / "plants").samples if one.masks == ()]
    first = samples[0].category
    mine = [one for one in samples if one.category == first]
    made = []
    for number in range(good + pictures):
        image = Image.open(mine[number % len(mine)].path).convert("RGB").resize(SIZE)
        noise = np.random.default_rng(number).integers(-3, 4, (SIZE[1], SIZE[0], 3))
        pixels = np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)
        path = folder / ("learn/part/good" if number < good else "new") / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
        if number >= good:
            made.append(path)
    return made


def inspector_of(folder: Path, size: int, count: int) -> Inspector:
    """An inspector of a model that was built alone at this size."""
    config = read(
        {
            "data.dataset": "auto",
            "data.dir": str(folder / "learn"),
            "embedder.size": size,
            "embedder.threads": count,
            "embedder.cache": "off",
        }
    )
    models = folder / f"models-{size}"
    build_and_keep(config, "here", None, models, Gate(false_rejects=1.0))
    return open_inspector(models)


def timed(work: Callable[[Path], object], pictures: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Wall and processor seconds of each picture."""
    work(pictures[0]), work(pictures[1])  # warm
    wall, used = [], []
    for path in pictures:
        began, before = time.perf_counter(), time.process_time()
        work(path)
        wall.append(time.perf_counter() - began)
        used.append(time.process_time() - before)
    return np.array(wall), np.array(used)


def told(name: str, size: int, wall: np.ndarray, used: np.ndarray) -> None:
    """A row: median and 99th percentile of wall ms, median of processor ms, pictures a second."""
    at = [1000 * float(np.quantile(wall, share)) for share in (0.5, 0.99)]
    cost = 1000 * float(np.median(used))
    row(name, size, *(f"{one:.0f}" for one in (*at, cost)), f"{1 / wall.mean():.1f}")


def anomalib(size: int, rows: int) -> Callable[[Path], object]:
    """anomalib's PatchCore from a file to its map, with a memory bank of so many random rows."""
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(
        layers=["blocks.2", "blocks.4"], backbone="tf_efficientnet_lite0", pre_trained=False
    ).eval()
    x = torch.zeros(1, 3, size, size)
    model.memory_bank = torch.randn(rows, _width(model, x))

    def judge(path: Path) -> object:
        image = np.asarray(Image.open(path).convert("RGB").resize((size, size)), np.float32)
        with torch.inference_mode():
            return model(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255)

    return judge


def _width(model: torch.nn.Module, x: torch.Tensor) -> int:
    """Features of a patch."""
    with torch.inference_mode():
        maps = model.feature_extractor(x)
    return sum(one.shape[1] for one in maps.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--good", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 384])
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    heading()
    row("", "pixels", "median ms", "99th ms", "processor ms", "images a second")
    with tempfile.TemporaryDirectory() as place, threads(asked.threads):
        folder = Path(place)
        pictures = drawn(folder, asked.good, asked.pictures)
        for size in asked.sizes:
            inspector = inspector_of(folder, size, asked.threads)

            def judge(path: Path, by: Inspector = inspector) -> bytes:
                return as_png(overlay(by.inspect(path)))

            rows = len(inspector.opened.model)
            told(f"fedad inspect, {rows:,} rows", size, *timed(judge, pictures))
            try:
                theirs = anomalib(size, rows)
            except ImportError:
                row("anomalib", size, "not installed", "", "", "")
            else:
                told("anomalib, no overlay", size, *timed(theirs, pictures))


if __name__ == "__main__":
    main()
