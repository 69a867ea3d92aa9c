"""A blot of another texture of the part, its outline by Perlin noise (Zavrtanik et al., DRAEM, ICCV
2021).

Noise is that of Perlin (An image synthesizer, SIGGRAPH 1985): gradients at the corners of a grid,
blended by a smooth step.
"""

from __future__ import annotations

import numpy as np

from fedad.defects.base import area_of, blended

__all__ = ["perlin"]

CELLS = (2, 5)  # of noise along the side of the square that a blot lies in
OPAQUE = (0.4, 1.0)
SIDE = 1.8  # of that square, in roots of the blot's area


def perlin(
    image: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A blot of `other`, turned and moved, where noise is high; see `base.Defect`."""
    high, wide = image.shape[:2]
    area = area_of(image.shape, rng)
    side = int(np.clip(np.ceil(SIDE * np.sqrt(area)), 2, min(high, wide)))
    top, left = int(rng.integers(high - side + 1)), int(rng.integers(wide - side + 1))
    field = noise(side, int(rng.integers(CELLS[0], CELLS[1] + 1)), rng) - _rim(side)
    limit = np.quantile(field, max(0.0, 1 - area / side**2))
    mask = np.zeros((high, wide), np.bool_)
    mask[top : top + side, left : left + side] = field >= limit
    return blended(image, _texture(image.shape, other, rng), mask, rng.uniform(*OPAQUE)), mask


def noise(side: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """(side, side) Perlin noise of so many cells along a side."""
    angles = rng.uniform(0, 2 * np.pi, (cells + 1, cells + 1))
    gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    at = (np.arange(side) + 0.5) * cells / side
    cell = np.minimum(at.astype(int), cells - 1)
    inside = at - cell
    smooth = inside**3 * (inside * (6 * inside - 15) + 10)
    rows = []
    for dy in (0, 1):
        corners = []
        for dx in (0, 1):
            corner = gradients[np.ix_(cell + dy, cell + dx)]
            corners.append(
                corner[..., 0] * (inside[:, None] - dy) + corner[..., 1] * (inside[None] - dx)
            )
        rows.append(corners[0] + smooth[None] * (corners[1] - corners[0]))
    found: np.ndarray = rows[0] + smooth[:, None] * (rows[1] - rows[0])
    return found


def _rim(side: int) -> np.ndarray:
    """What is taken from noise towards the rim of the square, so that a blot has no straight
    edge."""
    off = np.abs(np.linspace(-1, 1, side))
    return np.square(np.maximum(off[:, None], off[None])) ** 2


def _texture(shape: tuple[int, ...], other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`other` as large as `shape`, turned upside down or not, moved around, darker or lighter."""
    rows = (np.arange(shape[0]) + rng.integers(other.shape[0])) % other.shape[0]
    columns = (np.arange(shape[1]) + rng.integers(other.shape[1])) % other.shape[1]
    turned = other[::-1, ::-1] if rng.random() < 0.5 else other
    found: np.ndarray = turned[np.ix_(rows, columns)] * rng.uniform(0.5, 1.5)
    return found
