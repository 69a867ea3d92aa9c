"""Patches of a data set, and the pixels around each: what a decoder learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fedad.datasets.autovi import autovi
from fedad.datasets.synthetic import synthetic
from fedad.embedders.embedder import Embedder
from fedad.images.pixels import decode, read_file, to_rgb
from fedad.plumbing.files import cache_root
from fedad.types import Sample

CROP = 32  # pixels of a side
IMAGES, PUBLIC = 12, 12  # private images, public ones a product
TRAINED = 2400  # patches of each public product that decoders are trained on


class Pairs(NamedTuple):
    """Patches and what they show."""

    rows: np.ndarray  # (n, D) float32
    crops: np.ndarray  # (n, 32 x 32 x 3) float32, 0 to 1


def crops_of(
    embed: Embedder, samples: Sequence[Sample], grid: tuple[int, ...], some: np.ndarray
) -> np.ndarray:
    """(n, 3072): what is around the patches of these numbers, counted over all samples."""
    h, w = grid[1:3]
    found = np.empty((len(some), CROP * CROP * 3), np.float32)
    for number in np.unique(some // (h * w)):
        path = samples[number].path
        pixels = embed.backbone.prepare(to_rgb(decode(read_file(path), path), path))
        around = np.pad(pixels, ((CROP // 2,) * 2, (CROP // 2,) * 2, (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(around, (CROP, CROP), axis=(0, 1))
        here = some // (h * w) == number
        y, x = np.divmod(some[here] % (h * w), w)
        at = [((k + 0.5) * embed.knobs.size / n).astype(int) for k, n in ((y, h), (x, w))]
        seen = windows[at[0], at[1]].transpose(0, 2, 3, 1)
        found[here] = seen.reshape(len(seen), -1) / np.float32(255)
    return found


def good(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Good training images, spread over all there are."""
    some = [one for one in samples if one.is_good and one.split == "train"]
    return [some[k] for k in np.unique(np.linspace(0, len(some) - 1, most).astype(int))]


def of(samples: Sequence[Sample], category: str) -> list[Sample]:
    return [one for one in samples if one.category == category]


def sampled(embed: Embedder, samples: Sequence[Sample], quick: bool) -> Pairs:
    """Some patches of a public product."""
    some = good(samples, 4 if quick else PUBLIC)
    features = embed(some)
    count = TRAINED // (4 if quick else 1)
    numbers = np.random.default_rng(0).permutation(len(features.patches))[:count]
    crops = crops_of(embed, some, features.grid.shape, numbers)
    return Pairs(features.patches[numbers].copy(), crops)


def public_pairs(embed: Embedder, folder: Path, quick: bool) -> dict[str, Pairs]:
    """Patches of every product of DIR, and of the drawn ones."""
    drawn, parts = synthetic(cache_root() / "plants"), autovi(folder)
    samples = {n: of(s.samples, n) for s in (drawn, parts) for n in s.categories}
    return {name: sampled(embed, some, quick) for name, some in samples.items()}


def joined(pairs: Sequence[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate(part) for part in zip(*pairs, strict=True)))
