"""How fast an exported model is: ours beside eager torch, and beside anomalib's.

    python benchmarks/export.py [--sizes 256 384] [--threads 1 2] [--pictures 40] [--good 60]

A model is built alone from good parts of one drawn product. Its graph and that of anomalib's
`Patchcore`, by the same exporter, of the same network with as many rows, run in onnxruntime in
turn, one canvas at a time; eager is what `fedad inspect` does of a canvas, without the overlay.
Ours gives the map of patches: what resizes and smooths it to the canvas (`full_size`), which is in
anomalib's graph, is a row of its own. Processor milliseconds of all threads, and ratios of pairs.
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
from fedad.export.onnx_file import Engine, exported, needed
from fedad.export.plan import plan_of
from fedad.export.verify import _native, compared, own_pictures
from fedad.inspection.inspector import Inspector
from fedad.inspection.opened import open_inspector
from fedad.judging.full_size import full_size
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.plumbing.files import cache_root

Work = Callable[[np.ndarray], object]
PRODUCT = "part"


def drawn(folder: Path, good: int) -> None:
    """Good parts of one drawn product, with a little noise where they are taken twice."""
    samples = [one for one in synthetic(cache_root() / "plants").samples if one.masks == ()]
    mine = [one for one in samples if one.category == samples[0].category]
    into = folder / "learn" / PRODUCT / "good"
    into.mkdir(parents=True)
    for number in range(good):
        pixels = np.asarray(Image.open(mine[number % len(mine)].path).convert("RGB")).astype(int)
        noise = np.random.default_rng(number).integers(-3, 4, pixels.shape)
        seen = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
        seen.save(into / f"{number:04d}.png", compress_level=1)


def inspector_of(folder: Path, size: int, count: int) -> Inspector:
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
    if not models.exists():
        build_and_keep(config, "here", None, models, Gate(false_rejects=1.0))
    return open_inspector(models, {"embedder.threads": count})


def theirs(folder: Path, size: int, rows: int, count: int) -> Work:
    """anomalib's export of its PatchCore with so many random rows, from a canvas to its map."""
    from anomalib.models import Patchcore
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Normalize

    model = Patchcore(
        backbone="tf_efficientnet_lite0",
        layers=["blocks.2", "blocks.4"],
        pre_trained=False,
        pre_processor=PreProcessor(transform=Normalize([0.5] * 3, [0.5] * 3)),
    ).eval()
    with torch.no_grad():
        maps = model.model.feature_extractor(torch.zeros(1, 3, size, size))
    model.model.memory_bank = torch.randn(rows, sum(one.shape[1] for one in maps.values()))
    # As its `to_onnx` calls the exporter, but for a batch of one, which that does not export.
    path, canvas = folder / f"anomalib-{size}-{count}.onnx", torch.zeros(1, 3, size, size)
    with torch.no_grad():
        names = [name for name, one in model(canvas)._asdict().items() if one is not None]
    torch.onnx.export(
        *(model, (canvas,), str(path)),
        input_names=["input"],
        output_names=names,
        opset_version=20,
        dynamo=True,
    )
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = count
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def judge(canvas: np.ndarray) -> object:
        x = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        return session.run(None, {name: x})

    return judge


def used(work: Work, canvas: np.ndarray) -> tuple[float, float]:
    """Processor and wall ms."""
    began, before = time.perf_counter(), time.process_time()
    work(canvas)
    return 1000 * (time.process_time() - before), 1000 * (time.perf_counter() - began)


def measured(ways: dict[str, Work], canvases: list[np.ndarray]) -> dict[str, np.ndarray]:
    """(n, 2): processor and wall ms of each way of each canvas, in turn."""
    for work in ways.values():
        work(canvases[0]), work(canvases[1])
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for canvas in canvases:
        for name, work in ways.items():
            found[name].append(used(work, canvas))
    return {name: np.array(each) for name, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 384])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--good", type=int, default=60)
    asked = parser.parse_args()
    heading()
    row(
        "pixels",
        "threads",
        "rows",
        "way",
        "processor ms, least",
        "median",
        "wall, least",
        "of ours",
    )
    row(*["---"] * 8)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        drawn(folder, asked.good)
        for size in asked.sizes:
            for count in asked.threads:
                _size(folder, size, count, asked.pictures)


def _size(folder: Path, size: int, count: int, pictures: int) -> None:
    inspector = inspector_of(folder, size, count)
    plan = plan_of(inspector, PRODUCT)
    content = exported(inspector.embed.backbone, plan)
    engine = Engine(content, count)
    own = own_pictures(inspector, PRODUCT, None)
    canvases = [
        inspector.embed.backbone.prepare(Image.open(own[k % len(own)].path).convert("RGB"))
        for k in range(pictures)
    ]
    patches = engine(canvases[0])[0]
    ways: dict[str, Work] = {
        "ours, onnxruntime": engine,
        "eager torch": lambda canvas: _native(inspector, canvas, PRODUCT),
        "our map to the canvas": lambda _: full_size(patches, (size, size), side=size, sigma=2.0),
    }
    try:
        ways["anomalib's export, onnxruntime"] = theirs(folder, size, plan.rows, count)
    except ImportError:
        print("anomalib is not installed")
    with threads(count):
        found = measured(ways, canvases)
    mine = found["ours, onnxruntime"][:, 0]
    for name, each in found.items():
        least, wall = each.min(axis=0)
        middle, ratio = np.median(each[:, 0]), np.median(each[:, 0] / mine)
        told = (f"{one:.0f}" for one in (least, middle, wall))
        row(size, count, f"{plan.rows:,}", name, *told, f"{ratio:.2f}")
    print(f"\n{size}: {compared(content, inspector, own[:20]).told()}\n", flush=True)


if __name__ == "__main__":
    main()
