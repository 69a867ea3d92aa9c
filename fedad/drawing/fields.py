"""Whole fields of pixels at a time: blur, fewer pixels, more pixels. All (H, W) float32.

The same arithmetic in the same order on every machine: no BLAS, whose sums depend on threads.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image


def softened(field: np.ndarray, sigma: float) -> np.ndarray:
    """(..., H, W) blurred by a Gaussian of `sigma` pixels; beyond the border its edge repeats."""
    reach = max(1, round(2.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(reach + 1) / max(sigma, 0.05)) ** 2)
    weights = (weights / (2 * weights.sum() - weights[0])).astype(np.float32)
    return _blurred_down(_blurred_right(field, weights), weights)


def _blurred_right(field: np.ndarray, weights: np.ndarray) -> np.ndarray:
    reach, width = len(weights) - 1, field.shape[-1]
    rim = [(0, 0)] * (field.ndim - 1) + [(reach, reach)]
    wide = np.pad(field, rim, mode="edge")
    blurred = weights[0] * field
    for step in range(1, reach + 1):
        left, right = reach - step, reach + step
        pair = wide[..., left : left + width] + wide[..., right : right + width]
        pair *= weights[step]
        blurred += pair
    return blurred


def _blurred_down(field: np.ndarray, weights: np.ndarray) -> np.ndarray:
    reach, height = len(weights) - 1, field.shape[-2]
    rim = [(0, 0)] * (field.ndim - 2) + [(reach, reach), (0, 0)]
    tall = np.pad(field, rim, mode="edge")
    blurred = weights[0] * field
    for step in range(1, reach + 1):
        above, below = reach - step, reach + step
        pair = tall[..., above : above + height, :] + tall[..., below : below + height, :]
        pair *= weights[step]
        blurred += pair
    return blurred


def shrunk(field: np.ndarray, factor: int) -> np.ndarray:
    """The means of squares of `factor` x `factor` pixels; those at the border may be cut."""
    return np.asarray(Image.fromarray(field).reduce(factor)) if factor > 1 else field


def enlarged(
    field: np.ndarray, size: int, cells: float, first: float = 0.0, *, smooth: bool = False
) -> np.ndarray:
    """(size, size): `cells` x `cells` pixels of `field`, from `first` on, interpolated.

    `smooth` leaves no crease between two cells, which lit relief would show.
    """
    at = first + (np.arange(size, dtype=np.float32) + 0.5) * np.float32(cells / size) - 0.5
    at = np.clip(at, 0, len(field) - 1)
    here = np.minimum(at.astype(np.intp), len(field) - 2)
    share = (at - here).astype(np.float32)
    if smooth:
        share = share * share * (3 - 2 * share)
    wide = field[:, here]
    wide += share * (field[:, here + 1] - wide)
    tall = wide[here]
    tall += share[:, None] * np.diff(wide, axis=0)[here]
    return tall


def norm(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """How long (u, v) is at each pixel; several times faster than `np.hypot`."""
    return np.sqrt(u * u + v * v)


def coarse(size: int, most: int) -> int:
    """By how much an image of `size` pixels is shrunk to have about `most` a side."""
    return max(1, math.floor(size / most))
