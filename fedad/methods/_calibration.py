"""Scores of several experts on one scale: by counts of held-out good patches' scores, which add.

Bins are a twentieth of a score wide on both sides of 0, so that they fit distances and logits of
any size. A score becomes (score - low) / width, low and width from the counts of its expert.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Calibrate = Literal["off", "quantile", "z"]
RATIO, LEAST, SIDE = 1.05, 1e-6, 567  # of bins, of the first one's end, bins on each side of 0
BINS = 2 * SIDE + 1
MIDDLE, TAIL = 0.5, 0.99  # quantiles that become 0 and 1
NARROW = 1e-3  # of the middle: the least width


def counted(scores: np.ndarray) -> np.ndarray:
    """(BINS,) int64: how many of the scores fall into each bin, the lowest scores first."""
    sizes = np.log(np.maximum(np.abs(scores.astype(np.float64)), LEAST) / LEAST) / np.log(RATIO)
    steps = np.minimum(np.ceil(sizes), SIDE).astype(np.int64)
    return np.bincount(SIDE + (np.sign(scores) * steps).astype(np.int64).ravel(), minlength=BINS)


def middles() -> np.ndarray:
    """(BINS,): the middle of each bin."""
    right = LEAST * RATIO ** (np.arange(1, SIDE + 1) - 0.5)
    return np.concatenate([-right[::-1], [0.0], right])


def line_of(counts: np.ndarray, how: Calibrate) -> tuple[float, float]:
    """Low and width by counts (BINS,): the median and how far the 99th hundredth is above it, or
    the mean and the standard deviation; 0 and 1 where nothing was counted."""
    total = int(counts.sum())
    if how == "off" or not total:
        return 0.0, 1.0
    at = middles()
    if how == "quantile":
        seen = np.cumsum(counts)
        low, high = (float(at[np.searchsorted(seen, q * total)]) for q in (MIDDLE, TAIL))
        width = high - low
    else:
        low = float(at @ counts) / total
        width = float(np.sqrt(np.square(at - low) @ counts / total))
    return low, max(width, NARROW * abs(low), LEAST)


def held_out(numbers: np.ndarray, every: int) -> np.ndarray:
    """(B,) bool: of the images of each expert, by its number, one in `every`, none of fewer; none
    at all where that is 0."""
    held = np.zeros(len(numbers), bool)
    for expert in np.unique(numbers) if every else ():
        held[np.flatnonzero(numbers == expert)[every - 1 :: every]] = True
    return held
