"""What the uploads of `gaussian` and of `discriminator` draw, by the decoder of `decoder.py`.

    python benchmarks/decoder_methods.py DIR [--quick]

Under the default setting, each product of DIR private in turn. Of `gaussian` the mean of each block
of positions is decoded. Of `discriminator` the directions in which training has moved its weights
most (they began alike at all sites), both ways from the mean public patch, each compared with the
private crop that is most like it; the last row of a product says what directions of chance come to.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import heading, row
from pairs import IMAGES, Pairs, crops_of, good, joined, of, public_pairs

from fedad.config import read
from fedad.datasets.autovi import autovi
from fedad.embedders.embedder import Embedder
from fedad.leakage.decoders import Decode, drawable, linear, scores_of
from fedad.methods.base import FIRST, method_of
from fedad.types import Sample

THREADS, ROWS = 1, 1500


def methods(folder: Path, quick: bool) -> None:
    """What the uploads of other methods give, by the same decoder, under the default setting."""
    parts = autovi(folder)
    embed = Embedder(replace(read({}).embedder, cache="off", threads=THREADS))
    known = public_pairs(embed, folder, quick)
    print("\nOther uploads, default setting, linear decoder\n")
    row("private", "upload", "decoded", "compared with", "PSNR", "mean crop's PSNR", "gain")
    row(*["---"] * 7)
    for name in parts.categories:
        of_product(name, of(parts.samples, name), embed, known, quick=quick)


def of_product(
    name: str, all_: Sequence[Sample], embed: Embedder, known: dict[str, Pairs], *, quick: bool
) -> None:
    config = read({})
    learned = joined([pairs for other, pairs in known.items() if other != name])
    drawn = drawable(learned.crops)
    samples = good(all_, IMAGES)
    features = embed(samples)
    every = np.arange(len(features.patches))
    crops = crops_of(embed, samples, features.grid.shape, every)
    rng = np.random.default_rng(0)
    gaussian = method_of(read({**config.flat(), "round.method": "gaussian"}))
    sums = gaussian.fit(features, FIRST, rng=rng)
    kept = np.flatnonzero(gaussian._axes(FIRST, features.shape[-1]).any(1))
    means = (sums.sums / sums.count[..., None])[0].astype(np.float32)
    decoded = linear(learned.rows[:, kept], drawn)(means)
    cell = np.tile(gaussian._cells(*features.shape[:2]), len(features.grid))
    some = rng.permutation(len(cell))[:ROWS]
    block = (name, "gaussian: sums", "mean of a block")
    told((*block, "each crop in it"), decoded[cell[some]], crops[some])
    blocks = np.stack([crops[cell == k].mean(0) for k in range(len(means))])
    told((*block, "the block's mean crop"), decoded, blocks)

    knobs = {**config.flat(), "round.method": "discriminator"}
    trainer = method_of(read(knobs | ({"discriminator.epochs": 1} if quick else {})))
    head = trainer.fit(features, FIRST, rng=rng)
    begun = trainer._head(name, features.shape[-1], None)
    known_of = {
        "usual": learned.rows.mean(0),
        "spread": float(np.linalg.norm(learned.rows.std(0))),
        "decode_rows": linear(learned.rows, drawn),
    }
    for layer in ("adapt", "hidden"):
        _, _, axes = np.linalg.svd(getattr(head, layer)[0] - begun[layer], full_matrices=False)
        nearest(name, f"discriminator: change of {layer}", axes[:64], crops, **known_of)
    chance = rng.normal(size=(64, features.shape[-1])).astype(np.float32)
    chance /= np.linalg.norm(chance, axis=1, keepdims=True)
    nearest(name, "none: directions of chance", chance, crops, **known_of)


def told(said: Sequence[str], drawn: np.ndarray, crops: np.ndarray) -> None:
    """A line: whose, what was decoded and compared with what, and how alike they are."""
    one = scores_of(drawn, crops)
    row(*said, f"{one.psnr:.1f}", f"{one.base:.1f}", f"{one.gain:+.1f}")


def nearest(
    name: str,
    what: str,
    axes: np.ndarray,
    crops: np.ndarray,
    *,
    usual: np.ndarray,
    spread: float,
    decode_rows: Decode,
) -> None:
    """Both ways along each direction, each against the private crop that is most like it."""
    ways = np.concatenate([usual + sign * spread * axes for sign in (1, -1)]).astype(np.float32)
    drawn, seen = decode_rows(ways), crops[:: max(1, len(crops) // 4000)].astype(np.float32)
    far = np.square(drawn).sum(1)[:, None] - 2 * drawn @ seen.T + np.square(seen).sum(1)
    said = (name, what, "64 directions, both ways", "the most like private crop")
    told(said, drawn, seen[far.argmin(1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    heading()
    methods(options.folder, options.quick)


if __name__ == "__main__":
    main()
