"""A map of patch scores -> a map of the image's own size."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional


def full_size(scores: np.ndarray, size: tuple[int, int], *, side: int, sigma: float) -> np.ndarray:
    """A patch map (h, w) as (H, W) float32: bilinear, smoothed, never normalised.

    Args:
        size: (H, W) of the original image.
        side: side of the network's input in pixels, at which the smoothing is done.
        sigma: standard deviation of the smoothing there, in pixels.
    """
    smooth = gaussian_filter(_resize(scores, (side, side)), sigma, mode="nearest")
    return _resize(smooth, size)


def _resize(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(scores))[None, None]
    return functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[
        0, 0
    ].numpy()
