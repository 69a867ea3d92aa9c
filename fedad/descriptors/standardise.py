"""Each image's features by their own mean and spread: what lamp and lens add to all is taken out.

    f -> (f - b m) / s ** b

feature by feature, where m and s are the mean and the standard deviation over the image's valid
patches, and the blend b goes from 0, which leaves features as they are, to 1. A part of which a
large share is defective moves its own measure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

TINY = 1e-30  # where no feature varies
FLOOR = 1e-3  # of the mean spread: features that hardly vary in an image are not blown up
SLIGHT = 1e-4  # of their usual size, where all hardly vary: a uniform image is not blown up either


class Sums(NamedTuple):
    """Of patches: how many, and the sum and the sum of squares of each feature, float64."""

    number: int
    sums: np.ndarray  # (D,)
    squares: np.ndarray  # (D,)

    def plus(self, other: Sums) -> Sums:
        """Of the patches of both."""
        return Sums(
            self.number + other.number, self.sums + other.sums, self.squares + other.squares
        )


def sums_of(patches: np.ndarray) -> Sums:
    """Of patches (n, D) of one image."""
    exact = patches.astype(np.float64)
    return Sums(len(exact), exact.sum(0), np.square(exact).sum(0))


def standardised(patches: np.ndarray, image: Sums, blend: float) -> np.ndarray:
    """(n, D) float32: patches of an image whose valid patches have these sums."""
    if not image.number:
        return patches
    mean = image.sums / image.number
    spread = np.sqrt(np.maximum(image.squares / image.number - np.square(mean), 0))
    usual = math.sqrt(float(image.squares.mean()) / image.number)
    spread = np.maximum(spread, max(FLOOR * float(spread.mean()), SLIGHT * usual, TINY))
    found: np.ndarray = ((patches - blend * mean) / spread**blend).astype(np.float32)
    return found
