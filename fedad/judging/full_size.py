"""A map of patch scores -> a map of the image's own size."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch.nn import functional


def full_size(
    scores: np.ndarray,
    size: tuple[int, int],
    *,
    side: int | tuple[int, int],
    sigma: float,
    filled: tuple[int, int] | None = None,
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """A patch map (h, w) as (H, W) float32: bilinear, smoothed, never normalised.

    Args:
        size: (H, W) of the original image.
        side: (H, W) in pixels of what the network was given, at which the smoothing is done; a
            number for a square.
        sigma: standard deviation of the smoothing there, in pixels.
        filled: (H, W) of it that the image fills, from the upper left; all of it if not told.
        valid: (h, w) bool; the others take the score of the nearest valid patch, so that what
            borders on them is not smoothed towards 0.
    """
    canvas = (side, side) if isinstance(side, int) else side
    smooth = gaussian_filter(_resize(_spread(scores, valid), canvas), sigma, mode="nearest")
    if filled is not None and filled != canvas:
        smooth = smooth[: filled[0], : filled[1]]
    return _resize(smooth, size)


def _spread(scores: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    if valid is None or valid.all() or not valid.any():
        return scores
    y, x = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return scores[y, x]


def _resize(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if scores.shape == size:  # as bilinear resizing would leave it, and of large images no copy
        return scores
    tensor = torch.from_numpy(np.ascontiguousarray(scores))[None, None]
    return functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[
        0, 0
    ].numpy()
