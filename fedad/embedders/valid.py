"""Which patches of an image count: those that show some of it, and some of its region of interest.

A patch at the edge counts, so that no pixel of a part goes unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.embedders.box import Box
from fedad.images.pixels import image_size
from fedad.images.roi import region_of
from fedad.images.turning import filled_by, mask_turned_by
from fedad.types import Sample


def valid_patches(samples: Sequence[Sample], box: Box, grid: tuple[int, int]) -> np.ndarray | None:
    """(B, h, w) bool; None where all patches of all images count.

    Raises:
        BadFileError: an image or a mask that cannot be read, or a mask of another shape.
    """
    turned = any(sample.reading.turn for sample in samples)
    if not samples or (box.is_full and not turned and not any(sample.roi for sample in samples)):
        return None
    found = np.empty((len(samples), *grid), bool)
    for number, sample in enumerate(samples):
        size = image_size(sample.path, sample.reading)
        region, turn = region_of(sample, size), sample.reading.turn
        found[number] = valid_of(box, grid, size, _turned(region, turn))
        if turn:  # of a copy only patches that show nothing but the image
            found[number] &= ~valid_of(box, grid, size, ~filled_by(size, turn))
    return None if turned and found.all() else found


def _turned(region: np.ndarray | None, turn: int) -> np.ndarray | None:
    return region if region is None or not turn else mask_turned_by(region, turn)


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
