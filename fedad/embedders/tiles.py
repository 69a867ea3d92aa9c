"""A canvas cut into overlapping tiles, and the part of each tile's grid that is kept.

Of two neighbours each gives the patches up to the middle of what both see, so that every patch is
taken from a tile that sees at least half the overlap around it. Tiles begin at multiples of `STEP`:
a patch then has the same place in the network's strides as in the whole canvas, and a tile that
sees all that a patch depends on gives what the whole canvas would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fedad.config import EmbedderKnobs
from fedad.embedders.box import box_of

Network = Callable[[np.ndarray], np.ndarray]
"""Tiles (n, H, W, 3) uint8 -> their grids (n, h, w, D) float32."""


class Piece(NamedTuple):
    """Along one side: where a tile begins, in pixels, and which patches of the canvas it gives."""

    start: int
    first: int
    end: int


@dataclass(frozen=True)
class Tiles:
    """How a canvas (H, W) is cut; `side` (H, W) is of a tile, `cell` (H, W) of a patch."""

    canvas: tuple[int, int]
    side: tuple[int, int]
    overlap: int
    cell: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the canvas."""
        return self.canvas[0] // self.cell[0], self.canvas[1] // self.cell[1]

    @property
    def rows(self) -> list[Piece]:
        """The rows of tiles from top to bottom."""
        return self._pieces(0)

    def strips(self, canvas: np.ndarray, network: Network) -> Iterator[np.ndarray]:
        """The features of a canvas (H, W, 3) from top to bottom: (h_k, w, D) a row of tiles."""
        for row in self.rows:
            yield self.strip(canvas[row.start : row.start + self.side[0]], row, network)

    def strip(self, pixels: np.ndarray, row: Piece, network: Network) -> np.ndarray:
        """The features (h_k, w, D) of a row of tiles, whose pixels (H, W, 3) these are."""
        columns = self._pieces(1)
        width, (cell_h, cell_w) = self.side[1], self.cell
        grids = network(np.stack([pixels[:, at.start : at.start + width] for at in columns]))
        top = row.start // cell_h
        kept = [
            grid[row.first - top : row.end - top, at.first - left : at.end - left]
            for grid, at in zip(grids, columns, strict=True)
            for left in (at.start // cell_w,)
        ]
        return np.concatenate(kept, axis=1)

    def _pieces(self, axis: int) -> list[Piece]:
        length, side, cell = self.canvas[axis], self.side[axis], self.cell[axis]
        # A side that one tile covers has no neighbour to overlap with.
        step = side - self.overlap if length > side else 1
        starts = [*range(0, length - side, step), length - side]
        middles = [(one + side + other) // 2 // cell for one, other in pairwise(starts)]
        cuts = [0, *middles, length // cell]
        return [Piece(*one) for one in zip(starts, cuts[:-1], cuts[1:], strict=True)]


def one_tile(knobs: EmbedderKnobs) -> EmbedderKnobs:
    """The knobs for images of the size of a tile."""
    height, width = tile_of(knobs)
    size = width if height == width else f"{width}x{height}"
    return replace(knobs, size=size, fit="stretch", tile=0)


def tile_of(knobs: EmbedderKnobs) -> tuple[int, int]:
    """(H, W) of what the network is given at once: a tile, no larger than the canvas."""
    height, width = box_of(knobs).canvas
    return (min(knobs.tile, height), min(knobs.tile, width)) if knobs.tile else (height, width)
