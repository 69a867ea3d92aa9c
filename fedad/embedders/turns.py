"""Training images at several turns, for a method whose model knows parts in any pose.

A turned copy is no image: it has no name, no number and no count of its own. What it gives are
further patches of the image that it is a copy of, and `Turned.source` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedad.embedders.box import Box
from fedad.images.pixels import image_size
from fedad.images.turning import before
from fedad.types import Sample


def copies(samples: Sequence[Sample], turns: int) -> tuple[Sample, ...]:
    """The samples at each multiple of a full turn's share but the first: (turns - 1) B of them,
    turn by turn. Their patches that show no part of the image are not valid."""
    angles = [round(360 * number / turns) for number in range(1, turns)]
    return tuple(
        replace(sample, reading=replace(sample.reading, turn=angle))
        for angle in angles
        for sample in samples
    )


def sources(turned: Sequence[Sample], images: int, box: Box, grid: tuple[int, int]) -> np.ndarray:
    """(len(turned) h w,) int64: which patch of the images, as they lie, each patch shows, counted
    over all of them as `Bank.source` does.

    Args:
        turned: copies of so many `images`, turn by turn.

    Raises:
        BadFileError: an image that cannot be read.
    """
    h, w = grid
    cells = [side / patches for side, patches in zip(box.canvas, grid, strict=True)]
    rows, columns = np.divmod(np.arange(h * w), w)
    found = np.empty((len(turned), h * w), np.int64)
    for number, sample in enumerate(turned):
        size = image_size(sample.path, sample.reading)
        scale = [side / length for side, length in zip(box.filled(size), size, strict=True)]
        at = (((rows + 0.5) * cells[0] / scale[0]), ((columns + 0.5) * cells[1] / scale[1]))
        y, x = before(*at, size, sample.reading.turn)
        row = np.clip(y * scale[0] // cells[0], 0, h - 1).astype(np.int64)
        column = np.clip(x * scale[1] // cells[1], 0, w - 1).astype(np.int64)
        found[number] = number % images * (h * w) + row * w + column
    return found.ravel()
