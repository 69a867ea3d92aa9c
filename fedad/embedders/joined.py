"""An image at several sizes: its canvases in one array, and their features on one grid.

Each size's patches are brought to the grid of `embedder.size` bilinearly and joined in channels, as
layers are. Each of n sizes is divided by the root of n, so that a squared distance is the mean of
the squared distances at the sizes: all have an equal share, and distances are as large as of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional


def packed(canvases: Sequence[np.ndarray]) -> np.ndarray:
    """Canvases (H_i, W_i, 3) uint8 of one image, one behind the other: (N,) uint8."""
    return np.concatenate([canvas.ravel() for canvas in canvases])


def unpacked(pixels: np.ndarray, canvases: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
    """Packed images (B, N) uint8 -> (B, H, W, 3) of each canvas (H, W)."""
    at = 0
    for height, width in canvases:
        end = at + 3 * height * width
        yield pixels[:, at:end].reshape(-1, height, width, 3)
        at = end


def joined(grids: Sequence[np.ndarray]) -> np.ndarray:
    """Features (B, h_i, w_i, D) float32 at n sizes as (B, h, w, n D), on the grid of the first."""
    share, size = 1 / math.sqrt(len(grids)), grids[0].shape[1:3]
    return np.concatenate([share * _on(grid, size) for grid in grids], axis=-1, dtype=np.float32)


def _on(grid: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A grid (B, h_i, w_i, D) brought to (B, h, w, D)."""
    if grid.shape[1:3] == size:
        return grid
    maps = torch.from_numpy(grid).permute(0, 3, 1, 2)
    found = functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    return found.permute(0, 2, 3, 1).numpy()
