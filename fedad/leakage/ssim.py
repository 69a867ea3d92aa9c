"""Structural similarity of small pictures (Wang, Bovik, Sheikh and Simoncelli, 2004)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SIGMA, RADIUS = 1.5, 5  # of the window, in pixels: 11 x 11
C1, C2 = 0.01**2, 0.03**2  # for pixels from 0 to 1


def ssim(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n,) from -1 to 1, 1 for equal pictures.

    Args:
        one, other: (n, H, W, 3), 0 to 1, H and W at least 11; each colour is compared by itself.

    The mean over the places where the whole window lies inside.
    """
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    mean_a, mean_b = _smooth(a), _smooth(b)
    var_a, var_b = _smooth(a * a) - mean_a**2, _smooth(b * b) - mean_b**2
    both = _smooth(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    shape = (2 * both + C2) / (var_a + var_b + C2)
    return np.asarray((light * shape)[:, RADIUS:-RADIUS, RADIUS:-RADIUS].mean((1, 2, 3)))


def _smooth(pictures: np.ndarray) -> np.ndarray:
    found = gaussian_filter(pictures, (0, SIGMA, SIGMA, 0), radius=(0, RADIUS, RADIUS, 0))
    return np.asarray(found)
