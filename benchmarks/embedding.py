"""Images a second from files to features, beside the bare network on tensors that are ready.

    python benchmarks/embedding.py [--backbone NAME --weights WEIGHTS] [--images 96] [--rounds 5]
    python benchmarks/embedding.py --cost [--images 16] [--rounds 5]

Ours decodes 400 x 400 PNG files, resizes them and runs the network and the pooling. The yardstick
is `model(x)` of the same truncated network: float32, NCHW, batch 16, the same threads, tensors that
are ready. A second table is the same features read back from the cache.

`--cost` says instead what the networks with short names cost, in multiples of EfficientNet-Lite0,
of processor time, with random weights on pixels that are ready: 256 a side, or the next multiple of
a patch below.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import heading, pairs, row, threads

from fedad.config import EmbedderKnobs as Knobs
from fedad.config import read
from fedad.datasets.synthetic import synthetic
from fedad.embedders.backbone import Backbone, build, feature_maps, grid_of, parameters_of
from fedad.embedders.embedder import Embedder
from fedad.images.pixels import read_image
from fedad.plumbing.backbones import BACKBONES
from fedad.types import Sample


def bare(backbone: Backbone, pixels: np.ndarray) -> None:
    """The network alone, in the layout that torch has by default."""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
    x = x.sub_(backbone.mean).div_(backbone.std).contiguous()
    ready = x.split(backbone.knobs.batch)
    model = backbone.model.to(memory_format=torch.contiguous_format)
    with torch.inference_mode():
        for batch in ready:
            feature_maps(model, batch, backbone.levels)


def measure(knobs: Knobs, samples: list[Sample], rounds: int) -> None:
    embed = Embedder(knobs)
    plain = build(knobs)
    pixels = np.stack([plain.prepare(read_image(sample.path)) for sample in samples])
    with threads(knobs.threads):
        bare(plain, pixels[:16]), embed(samples[:16])  # warm
        ours, theirs, ratio = pairs(lambda: embed(samples), lambda: bare(plain, pixels), rounds)
    per_second = [f"{len(samples) / float(seconds):.1f}" for seconds in (ours, theirs)]
    row(knobs.backbone, knobs.size, knobs.precision, f"{knobs.threads} threads", *per_second, ratio)


def cached(knobs: Knobs, samples: list[Sample], folder: Path, rounds: int) -> None:
    once = Embedder(knobs)
    kept = Embedder(Knobs(**{**vars(knobs), "cache": str(folder)}))
    kept(samples)
    again, first, ratio = pairs(lambda: kept(samples), lambda: once(samples), rounds)
    row(knobs.backbone, f"{len(samples)} images", f"{again} s", f"{first} s", ratio)


def cost(images: int, rounds: int, count: int) -> None:
    """A line a network: its processor time by that of EfficientNet-Lite0, each timed in turn."""

    def embedding(name: str) -> tuple[Callable[[], object], Knobs]:
        known = BACKBONES[name]
        settings = {"embedder.backbone": name, "embedder.weights": "random"}
        size = 256 // known.patch * known.patch
        more = {"embedder.size": size, "embedder.threads": count, "embedder.batch": 8}
        knobs = read({**settings, **more}).embedder
        backbone = build(knobs)
        shape = (images, size, size, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        return lambda: backbone(pixels), knobs

    row("name", "pixels", "layers", "patches x features", "parameters", "licence", "times Lite0")
    row(*7 * ["---"])
    usual, _ = embedding("lite0")
    usual()
    for name, known in BACKBONES.items():
        this, knobs = embedding(name)
        this()
        ratios = sorted(_busy(this) / _busy(usual) for _ in range(rounds))
        ratio = f"{ratios[rounds // 2]:.1f}x ({ratios[0]:.1f} - {ratios[-1]:.1f})"
        h, w, d = grid_of(knobs)
        size = f"{parameters_of(knobs) / 1e6:.1f} M"
        row(name, knobs.size, known.layers, f"{h * w} x {d}", size, known.licence, ratio)


def _busy(work: Callable[[], object]) -> float:
    """Seconds of a processor."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0.in1k")
    parser.add_argument("--weights", default="package")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    if options.cost:
        heading()
        with threads(options.threads):
            cost(options.images, options.rounds, options.threads)
        return
    knobs = Knobs(
        backbone=options.backbone,
        weights=options.weights,
        threads=options.threads,
        precision=options.precision,
        cache="off",
    )
    heading()
    print("drawn images; images per second\n")
    with tempfile.TemporaryDirectory() as folder:
        dataset = synthetic(Path(folder) / "plants", size=400)
        samples = list(dataset.samples[: options.images])
        row("backbone", "pixels", "precision", "", "ours", "bare network", "ours / bare")
        row(*7 * ["---"])
        measure(knobs, samples, options.rounds)
        print()
        row("backbone", "", "from the cache", "embedded", "ratio")
        row(*5 * ["---"])
        cached(knobs, samples, Path(folder) / "cache", options.rounds)


if __name__ == "__main__":
    main()
