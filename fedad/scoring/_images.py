"""Patch scores -> the score of an image and its map at full size."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from fedad.scoring.base import Nearest


def image_scores(
    nearest: Nearest, patches: np.ndarray, rows: np.ndarray, *, per_image: int, neighbours: int
) -> np.ndarray:
    """(B,) float32: the largest patch score of each image.

    With `neighbours` = b above 1 it is weighted as in PatchCore (Roth et al., 2022, equation 7):
    by one minus the softmax of the distances from that patch to the b rows nearest to its nearest
    row, taken at that row. A patch near a lonely row counts more.
    """
    table = nearest.distance.reshape(-1, per_image)
    top = table.argmax(1)
    scores = table[np.arange(len(table)), top]
    if neighbours == 1:
        return scores
    at = top + per_image * np.arange(len(table))
    return np.array(
        [
            score * _weight(patches[i], rows, nearest.row[i], neighbours)
            for score, i in zip(scores, at, strict=True)
        ],
        np.float32,
    )


def _weight(patch: np.ndarray, rows: np.ndarray, row: int, neighbours: int) -> float:
    around = np.linalg.norm(rows - rows[row], axis=1)
    closest = np.argsort(around, kind="stable")[:neighbours]
    gaps = np.linalg.norm(rows[closest] - patch, axis=1).astype(np.float64)
    nearest = np.linalg.norm(rows[row] - patch)
    return float(1 - np.exp(nearest - gaps.max()) / np.exp(gaps - gaps.max()).sum())


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
