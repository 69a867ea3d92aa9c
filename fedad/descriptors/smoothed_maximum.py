"""The score of an image as the mean of its oddest patches: one odd patch alone counts for less."""

from __future__ import annotations

import math

import numpy as np


def smoothed_maximum(patches: np.ndarray, share: float) -> np.ndarray:
    """(B,) float32: of each image's patch scores (B, P) the mean of this share of them, the
    largest; of one at least, which is the maximum."""
    count = max(1, math.ceil(share * patches.shape[1]))
    top = -np.partition(-patches, count - 1, axis=1)[:, :count]
    found: np.ndarray = np.sort(top, axis=1).mean(axis=1, dtype=np.float64).astype(np.float32)
    return found
