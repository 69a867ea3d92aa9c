"""Of which patch of which member a row is, or which one it is nearest to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fedad.plumbing.progress import track
from fedad.search.nearest_rows import SEARCHES


class Owners(NamedTuple):
    """Of each of K rows the nearest patch: of which image, and its number there."""

    image: np.ndarray  # (K,) int
    patch: np.ndarray  # (K,) int
    distance: np.ndarray  # (K,) float32


def owners(
    rows: np.ndarray,
    images: Iterable[tuple[np.ndarray, np.ndarray]],
    count: int,
    device: str = "cpu",
) -> Owners:
    """Search all images for the patch nearest to each row; of equal ones the first image's.

    Args:
        rows: (K, D) float32.
        images: `count` pairs of patches (n, D) float32 and their numbers (n,) in the image.
    """
    best = Owners(
        np.full(len(rows), -1), np.full(len(rows), -1), np.full(len(rows), np.inf, np.float32)
    )
    with track("whose rows they are", count) as progress:
        for number, (patches, names) in enumerate(images):
            if len(patches):
                found = SEARCHES["torch"](patches, rows, device, lambda done: None)
                far = np.linalg.norm(rows - patches[found], axis=1)
                closer = far < best.distance
                best.image[closer] = number
                best.patch[closer] = names[found[closer]]
                best.distance[closer] = far[closer]
            progress(number + 1)
    return best
