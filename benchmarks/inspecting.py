"""Latency of one picture at a time, overlay included: `fedad inspect`, warm.

    python benchmarks/inspecting.py [--good 45] [--rows 4600] [--pictures 60] [--sizes 256 384]
                                    [--threads 2] [--rounds 3]

A model is built alone from good parts of one drawn product, as `fedad bank build --models` does,
with so many rows. Then pictures of 640 x 480, every second of a defective part, are judged one by
one, from the file to the PNG of its overlay. Wall seconds hang on what else the machine does;
processor seconds, of all threads together, less so.

Beside it in turn, round by round, where anomalib is installed: its PatchCore with as many rows of
the same network, from the file to its map, in a process of its own: as the bare network in
inference mode, as its own `TorchInferencer` has it, and with its own picture of the map as PNG.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
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
Seconds = list[tuple[float, float]]


def drawn(folder: Path, good: int, pictures: int) -> list[Path]:
    """Good parts of a drawn product to learn from, and pictures to judge, every second of them of a
    defective part: files of 640 x 480."""
    samples = synthetic(cache_root() / "plants").samples
    mine = [one for one in samples if one.category == samples[0].category]
    kinds = [[one for one in mine if bool(one.masks) == odd] for odd in (False, True)]
    made = []
    for number in range(good + pictures):
        kind = kinds[number >= good and number % 2]
        image = Image.open(kind[number % len(kind)].path).convert("RGB").resize(SIZE)
        noise = np.random.default_rng(number).integers(-3, 4, (SIZE[1], SIZE[0], 3))
        pixels = np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8)
        path = folder / ("learn/part/good" if number < good else "new") / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
        if number >= good:
            made.append(path)
    return made


def inspector_of(folder: Path, size: int, count: int, share: float) -> Inspector:
    """An inspector of a model that was built alone at this size, of a share of all patches."""
    config = read(
        {
            "data.dataset": "auto",
            "data.dir": str(folder / "learn"),
            "embedder.size": size,
            "embedder.threads": count,
            "embedder.cache": "off",
            "coreset.local-ratio": share,
        }
    )
    models = folder / f"models-{size}"
    build_and_keep(config, "here", None, models, Gate(false_rejects=1.0))
    return open_inspector(models)


def timed(
    ways: Mapping[str, Callable[[list[Path]], Seconds]], pictures: list[Path], rounds: int
) -> dict[str, np.ndarray]:
    """(2, n) wall and processor seconds of each picture, by each way in turn, some at a time."""
    found: dict[str, Seconds] = {name: [] for name in ways}
    for number in range(rounds):
        for name, seconds in ways.items():
            found[name] += seconds([*pictures[:2], *pictures[number::rounds]])[2:]  # warm
    return {name: np.array(seconds).T for name, seconds in found.items()}


def seconds_of(work: Callable[[Path], object], pictures: list[Path]) -> Seconds:
    """Wall and processor seconds of each picture."""
    found = []
    for path in pictures:
        began, before = time.perf_counter(), time.process_time()
        work(path)
        found.append((time.perf_counter() - began, time.process_time() - before))
    return found


def told(name: str, size: int, wall: np.ndarray, used: np.ndarray) -> None:
    """A row: median and 99th percentile of wall ms, median of processor ms, pictures a second."""
    at = [1000 * float(np.quantile(wall, share)) for share in (0.5, 0.99)]
    cost = 1000 * float(np.median(used))
    row(name, size, *(f"{one:.0f}" for one in (*at, cost)), f"{1 / wall.mean():.1f}")


class Theirs:
    """anomalib's PatchCore from a file to its map, with a memory bank of so many random rows: in a
    process that has nothing of ours."""

    def __init__(self, folder: Path, size: int, rows: int, count: int) -> None:
        self.pool = ProcessPoolExecutor(1, get_context("spawn"), _open, (folder, size, rows, count))

    def network(self, pictures: list[Path]) -> Seconds:
        """Of its bare network."""
        return self.pool.submit(_their_seconds, "network", pictures).result()

    def inferencer(self, pictures: list[Path]) -> Seconds:
        """Of its `TorchInferencer`."""
        return self.pool.submit(_their_seconds, "inferencer", pictures).result()

    def overlay(self, pictures: list[Path]) -> Seconds:
        """Of its `TorchInferencer`, and the picture and its map side by side as PNG."""
        return self.pool.submit(_their_seconds, "overlay", pictures).result()


_THEIRS: dict[str, Callable[[Path], object]] = {}  # in the process that is theirs


def _their_seconds(name: str, pictures: list[Path]) -> Seconds:
    return seconds_of(_THEIRS[name], pictures)


def _open(folder: Path, size: int, rows: int, count: int) -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    from anomalib.deploy import TorchInferencer
    from anomalib.models import Patchcore
    from anomalib.visualization.image.item_visualizer import visualize_image_item

    torch.set_num_threads(count)
    whole = Patchcore(
        layers=["blocks.2", "blocks.4"],
        backbone="tf_efficientnet_lite0",
        pre_trained=False,
        pre_processor=Patchcore.configure_pre_processor((size, size)),
        evaluator=False,
        visualizer=False,
    ).eval()
    model = whole.model
    model.memory_bank = torch.randn(rows, _width(model, torch.zeros(1, 3, size, size)))
    os.environ["TRUST_REMOTE_CODE"] = "1"  # the file that the next line writes
    inferencer = TorchInferencer(whole.to_torch(folder / f"anomalib-{size}"), device="cpu")

    def judge(path: Path) -> object:
        image = np.asarray(Image.open(path).convert("RGB").resize((size, size)), np.float32)
        with torch.inference_mode():
            return model(torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255)

    def drawn_too(path: Path) -> bytes:
        (item,) = inferencer.predict(path).items
        buffer, panels = io.BytesIO(), [("image", ["anomaly_map"])]
        visualize_image_item(item, fields=["image"], overlay_fields=panels).save(buffer, "PNG")
        return buffer.getvalue()

    _THEIRS.update(network=judge, inferencer=inferencer.predict, overlay=drawn_too)


def _width(model: torch.nn.Module, x: torch.Tensor) -> int:
    """Features of a patch."""
    with torch.inference_mode():
        maps = model.feature_extractor(x)
    return sum(one.shape[1] for one in maps.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--good", type=int, default=45)
    parser.add_argument("--rows", type=int, default=4600)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 384])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    heading()
    row("", "pixels", "median ms", "99th ms", "processor ms", "images a second")
    with tempfile.TemporaryDirectory() as place, threads(asked.threads):
        folder = Path(place)
        pictures = drawn(folder, asked.good, asked.pictures)
        for size in asked.sizes:
            share = asked.rows / (asked.good * (size // 8) ** 2)
            inspector = inspector_of(folder, size, asked.threads, share)

            compare(inspector, folder, size, pictures, asked)


def compare(
    inspector: Inspector, folder: Path, size: int, pictures: list[Path], asked: argparse.Namespace
) -> None:
    """A row for each way of judging pictures, at one size."""

    def drawn_too(path: Path) -> bytes:
        return as_png(overlay(inspector.inspect(path)))

    rows = len(inspector.opened.model)
    ways: dict[str, Callable[[list[Path]], Seconds]] = {
        f"fedad inspect, {rows:,} rows": partial(seconds_of, drawn_too),
        "fedad inspect, no overlay": partial(seconds_of, inspector.inspect),
    }
    if find_spec("anomalib"):
        theirs = Theirs(folder, size, rows, asked.threads)
        ways["anomalib's network"] = theirs.network
        ways["anomalib's TorchInferencer"] = theirs.inferencer
        ways["the same with its overlay"] = theirs.overlay
    for name, seconds in timed(ways, pictures, asked.rounds).items():
        told(name, size, *seconds)


if __name__ == "__main__":
    main()
