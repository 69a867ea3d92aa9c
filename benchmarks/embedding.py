"""Images a second from files to features, beside the bare network on tensors that are ready.

    python benchmarks/embedding.py [--backbone NAME --weights WEIGHTS] [--images 96] [--rounds 5]

Ours decodes 400 x 400 PNG files, resizes them and runs the network and the pooling. The yardstick
is `model(x)` of the same truncated network: float32, NCHW, batch 16, the same threads, tensors that
are ready. A second table is the same features read back from the cache.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import heading, pairs, row, threads

from fedad.config import EmbedderKnobs as Knobs
from fedad.datasets.synthetic import synthetic
from fedad.embedders.backbone import Backbone, build
from fedad.embedders.embedder import Embedder
from fedad.images.pixels import read_image
from fedad.types import Sample


def bare(backbone: Backbone, pixels: np.ndarray) -> None:
    """The network alone, in the layout that torch has by default."""
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
    x = x.sub_(backbone.mean).div_(backbone.std).contiguous()
    ready = x.split(backbone.knobs.batch)
    model = backbone.model.to(memory_format=torch.contiguous_format)
    with torch.inference_mode():
        for batch in ready:
            model.forward_intermediates(
                batch, indices=list(backbone.levels), intermediates_only=True
            )


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0.in1k")
    parser.add_argument("--weights", default="package")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
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
