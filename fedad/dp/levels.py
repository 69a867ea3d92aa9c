"""The levels of the tree: how space is cut at each, what of the budget it takes, how far it sees.

All of it is public and fixed. The numbers were chosen on one drawn product; on another they were
used as they are. No customer's data had a part in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Start = Literal["positions", "codebook"]

BLOCKS = 8  # blocks of positions in an image's height and width
MASS = 0.25  # share of a level's budget for how much is in each cell
KEPT = 1.5  # standard deviations of its noise that a cell must hold to be kept


@dataclass(frozen=True)
class Level:
    """One pass over all images.

    Args:
        kind: what a cell is: a block of `positions`; the patches `nearest` to one centre of the
            level before; or these, `split` by on which side of it they lie along the first axes.
        axes: along how many; a cell becomes 2^axes.
        share: of the budget, the square of mu.
        radius: to which length an image's residuals are clipped, in the public radius.
    """

    kind: Literal["positions", "nearest", "split"]
    share: float
    radius: float
    axes: int = 0

    def noise(self, mu: float) -> tuple[float, float]:
        """The standard deviations of the noise of residuals and of masses, over their
        sensitivity, so that both together cost sqrt(share) of `mu` in Gaussian privacy."""
        own = mu * math.sqrt(self.share)
        return 1 / (own * math.sqrt(1 - MASS)), 1 / (own * math.sqrt(MASS))


LEVELS: dict[Start, tuple[Level, ...]] = {
    # Where a part lies alike in all images, what is at a place is a first cell.
    "positions": (
        Level("positions", 0.2, 1.6),
        Level("split", 0.2, 0.9, axes=3),
        Level("split", 0.2, 0.7, axes=2),
        Level("nearest", 0.4, 0.625),
    ),
    # Where it does not, the cells of the public centres are.
    "codebook": (
        Level("nearest", 0.2, 1.0),
        Level("split", 0.2, 0.75, axes=3),
        Level("split", 0.2, 0.625, axes=2),
        Level("nearest", 0.4, 0.625),
    ),
}


def noises(levels: tuple[Level, ...], mu: float) -> tuple[float, ...]:
    """Of each sum of a release, its noise over its sensitivity: what it costs follows from it."""
    return tuple(sigma for level in levels for sigma in level.noise(mu))
