"""Patches in a random order, some at a time: what methods train with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fedad.config import Config
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


def batches(
    features: Features | InParts, category: str | None, size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """(n, D), n at most `size`: each patch of a product, or of all, once; in a random order within
    each part that memory holds."""
    for part in features.parts(category):
        order = rng.permutation(len(part))
        for at in range(0, len(part), size):
            yield part[order[at : at + size]]


def may_part(config: Config) -> bool:
    """Whether patches of one image may be in several of the parts that memory holds."""
    return bool(config.coreset.memory_gb and config.embedder.tile)


def most_batches(images: int, patches: int, size: int, *, apart: bool) -> int:
    """The most batches that `batches` makes of so many images of so many patches each.

    Args:
        apart: whether patches of one image may be in several parts; each image may be in one.
    """
    return images * math.ceil(patches / (1 if apart else size))


def some_patches(
    features: Features | InParts, category: str | None, most: int, rng: np.random.Generator
) -> np.ndarray:
    """(n, D): at most so many patches of a product, or of all, drawn at random, in their order."""
    images = sum(category in (None, name) for name in features.categories)
    total = images * features.patches_per_image
    chosen = np.sort(rng.permutation(total)[:most])
    found, first = [], 0
    for part in features.parts(category):
        here = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, first + len(part))]
        found.append(part[here - first])
        first += len(part)
    return np.concatenate(found)
