"""At a site: how far its patches spread, and how many of some find their own place.

Some patches of a few good images are each compared with those of the images of other parts, by
features alone: the nearest is near its own place where parts always lie alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.descriptors.apply import described_parts
from fedad.descriptors.position import LOOKED, LOOKED_IMAGES, near_own_place, places
from fedad.descriptors.settings import Settings, Table, settings_of
from fedad.types import Features

if TYPE_CHECKING:  # what takes torch is imported when it is used
    from fedad.embedders.in_parts import InParts

DIGITS = 9  # of a sum, so that the order of images does not tell
BLOCK = 4096  # patches that are summed at a time


def sums_of(
    features: Features | InParts,
    products: Sequence[tuple[str, np.ndarray]],
    table: Table,
    device: str,
) -> dict[str, Any]:
    """The `banks.bank.SUMS` of a site's own bank, (1, C) each; its patches are read once.

    Args:
        products: each one's name, and the numbers of its valid patches among those of all images.
        table: how they are described.
    """
    rows = []
    for name, numbers in products:
        asked = looked_at(features, numbers)
        settings = replace(settings_of(table, name), position=0.0)
        square, points = _read(features, name, numbers, settings, asked)
        rows.append((square, *_in_place(features, points, asked, device)))
    squares, looked, placed = zip(*rows, strict=True)
    return {
        "squares": np.array([squares], np.float64),
        "placed": np.array([placed], np.int64),
        "looked": np.array([looked], np.int64),
    }


def looked_at(features: Features | InParts, numbers: np.ndarray) -> np.ndarray:
    """(n,) int64: those of a product's valid patches (N,) that are looked at: evenly many of images
    that lie evenly in the order of their names, so that the images' own order changes nothing."""
    image = numbers // features.patches_per_image
    names = _names(features)
    in_order = np.array(sorted(np.unique(image).tolist(), key=lambda k: names[k]))
    some = in_order[np.unique(np.linspace(0, len(in_order) - 1, LOOKED_IMAGES).astype(int))]
    patches = [numbers[image == k] for k in np.sort(some)]
    return np.concatenate([mine[:: -(-len(mine) // LOOKED)] for mine in patches])


def _read(
    features: Features | InParts,
    category: str,
    numbers: np.ndarray,
    settings: Settings,
    asked: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The sum of squared distances of a product's patches to their mean, and (n, D) those that are
    asked for."""
    count, total, squares = 0, np.zeros(features.shape[2]), 0.0
    points = np.empty((len(asked), features.shape[2]), np.float32)
    for part in described_parts(features, category, numbers, settings, wide=False):
        here = np.isin(numbers[count : count + len(part)], asked)
        points[np.searchsorted(asked, numbers[count : count + len(part)][here])] = part[here]
        count += len(part)
        for at in range(0, len(part), BLOCK):
            exact = part[at : at + BLOCK].astype(np.float64)
            total += exact.sum(0)
            squares += float(np.einsum("nd,nd->", exact, exact))
    return float(f"{max(0.0, squares - float(total @ total) / count):.{DIGITS}g}"), points


def _in_place(
    features: Features | InParts, points: np.ndarray, asked: np.ndarray, device: str
) -> tuple[int, int]:
    """How many patches have others to be compared with, and how many of them are in their place.

    Args:
        points: (n, D), of the patches with these numbers.
    """
    from fedad.search.nearest_rows import by_torch

    h, w, _ = features.shape
    image, where = asked // (h * w), places(h, w)[asked % (h * w)]
    shown = np.unique(features.shown or _names(features), return_inverse=True)[1][image]
    looked = placed = 0
    for one in np.unique(shown):
        mine, others = np.flatnonzero(shown == one), np.flatnonzero(shown != one)
        if not len(others):
            continue
        nearest = by_torch(points[others], points[mine], device, lambda done: None)
        looked += len(mine)
        placed += near_own_place(where[others[nearest]], where[mine])
    return looked, placed


def _names(features: Features | InParts) -> Sequence[str]:
    if isinstance(features, Features):
        return features.images
    return [sample.name for sample in features.samples]
