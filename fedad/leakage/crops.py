"""Patches and the pixels around each: what a decoder learns from, and what it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedad.descriptors.apply import described_features
from fedad.descriptors.settings import ALL, OFF, Settings
from fedad.embedders.backbone import Backbone
from fedad.embedders.embedder import Embedder
from fedad.images.pixels import read_file, rgb
from fedad.types import Features, Sample

CROP = 32  # pixels of a side


class Pairs(NamedTuple):
    """Patches and what they show."""

    rows: np.ndarray  # (n, D) float32
    crops: np.ndarray  # (n, 32 x 32 x 3) float32, 0 to 1


@dataclass(frozen=True)
class Described:
    """An embedder whose features are described by one product's settings, whatever they show."""

    embed: Embedder
    settings: Settings

    @property
    def backbone(self) -> Backbone:
        return self.embed.backbone

    def __call__(self, samples: Sequence[Sample]) -> Features:
        features = self.embed(samples)
        off = self.settings == OFF
        return features if off else described_features(features, {ALL: self.settings})


def crops_of(
    embed: Embedder | Described, samples: Sequence[Sample], grid: tuple[int, ...], some: np.ndarray
) -> np.ndarray:
    """(n, 3072): what the network sees around patches.

    Args:
        grid: (B, h, w, D), of the features of the samples.
        some: (n,) int: the patches' numbers, counted over all samples.
    """
    h, w = grid[1:3]
    found = np.empty((len(some), CROP * CROP * 3), np.float32)
    for number in np.unique(some // (h * w)):
        here = some // (h * w) == number
        found[here] = around(embed, samples[number], (h, w), some[here] % (h * w))
    return found


def around(
    embed: Embedder | Described, sample: Sample, grid: tuple[int, int], patches: np.ndarray
) -> np.ndarray:
    """(n, 3072) float32: the crops centred at the patches (n,) of one image, edges repeated."""
    pixels = embed.backbone.each[0].prepare(
        rgb(read_file(sample.path, sample.reading), sample.path, sample.reading)
    )
    padded = np.pad(pixels, ((CROP // 2,) * 2, (CROP // 2,) * 2, (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (CROP, CROP), axis=(0, 1))
    sides = zip(np.divmod(patches, grid[1]), pixels.shape, grid, strict=False)
    y, x = (((k + 0.5) * side / count).astype(int) for k, side, count in sides)
    seen = windows[y, x].transpose(0, 2, 3, 1)
    return np.asarray(seen.reshape(len(seen), -1) / np.float32(255))


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many, evenly over all there are."""
    return [samples[k] for k in np.unique(np.linspace(0, len(samples) - 1, most).astype(int))]


def sampled(embed: Embedder | Described, samples: Sequence[Sample], count: int) -> Pairs:
    """At most so many patches of these images, the same at every call."""
    features = embed(samples)
    numbers = np.random.default_rng(0).permutation(len(features.patches))[:count]
    crops = crops_of(embed, samples, features.grid.shape, numbers)
    return Pairs(features.patches[numbers].copy(), crops)


def joined(pairs: Sequence[Pairs]) -> Pairs:
    """All pairs, in this order."""
    return Pairs(*(np.concatenate(part) for part in zip(*pairs, strict=True)))
