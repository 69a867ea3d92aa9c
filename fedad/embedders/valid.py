"""Which patches of an image count: those that show some of it, and some of its region of interest.

A patch at the edge counts, so that no pixel of a part goes unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.embedders.box import Box
from fedad.images.pixels import image_size
from fedad.images.roi import region_of
from fedad.types import Sample


def valid_patches(samples: Sequence[Sample], box: Box, grid: tuple[int, int]) -> np.ndarray | None:
    """(B, h, w) bool; None where all patches of all images count.

    Raises:
        BadFileError: an image or a mask that cannot be read, or a mask of another shape.
    """
    if not samples or (box.is_full and not any(sample.roi for sample in samples)):
        return None
    found = np.empty((len(samples), *grid), bool)
    for number, sample in enumerate(samples):
        size = image_size(sample.path, sample.reading)
        found[number] = valid_of(box, grid, size, region_of(sample, size))
    return found


def valid_of(
    box: Box, grid: tuple[int, int], size: tuple[int, int], region: np.ndarray | None
) -> np.ndarray:
    """(h, w) bool of an image of `size` (H, W) with its region of interest (H, W) bool, if any."""
    filled = box.filled(size)
    cells = [side / patches for side, patches in zip(box.canvas, grid, strict=True)]
    high, wide = (int(-(-side // cell)) for side, cell in zip(filled, cells, strict=True))
    found = np.zeros(grid, bool)
    found[:high, :wide] = True
    if region is not None:
        rows, columns = (
            np.minimum(np.arange(number) * cell * length / side, length - 1).astype(int)
            for number, cell, length, side in zip((high, wide), cells, size, filled, strict=True)
        )
        by_rows = np.logical_or.reduceat(region, rows, axis=0)
        found[:high, :wide] = np.logical_or.reduceat(by_rows, columns, axis=1)
    return found
