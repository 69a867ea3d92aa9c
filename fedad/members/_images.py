"""A product's images in a random order, some at a time: as feature maps, and as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fedad.errors import ConfigError
from fedad.types import Features, Pixels

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


def grid_batches(
    features: Features | InParts, category: str | None, size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """(n, h, w, D), n at most `size`: the features of each image of a product, or of all, once; in
    a random order within each part that memory holds."""
    h, w, d = features.shape
    left = np.empty((0, d), np.float32)
    for part in features.parts(category):
        patches = np.concatenate([left, part]) if len(left) else part
        whole = len(patches) // (h * w)
        images, left = patches[: whole * h * w].reshape(whole, h, w, d), patches[whole * h * w :]
        order = rng.permutation(whole)
        for at in range(0, whole, size):
            yield images[order[at : at + size]]


def batches_of(count: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(n,): the numbers of so many images in a random order, at most `size` at a time."""
    order = rng.permutation(count)
    for at in range(0, count, size):
        yield order[at : at + size]


def pixels_of(features: Features | InParts) -> Pixels:
    """The images behind features.

    Raises:
        ConfigError: they are not there.
    """
    if features.pixels is None:
        raise ConfigError("a member that needs pixels was given features alone")
    return features.pixels


def numbers_of(features: Features | InParts, category: str | None) -> list[int]:
    """The numbers of the images of a product, or of all."""
    return [k for k, name in enumerate(features.categories) if category in (None, name)]


def picture(pixels: np.ndarray, side: int) -> np.ndarray:
    """An image (H, W, 3) uint8 as a square (side, side, 3) of the same."""
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))
