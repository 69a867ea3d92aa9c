"""A long thin stroke at any angle, of one colour that the part has (the scar of CutPaste)."""

from __future__ import annotations

import numpy as np

from fedad.defects.base import area_of, blended

__all__ = ["scar"]

LONGER = (6.0, 16.0)  # how many times longer than wide a stroke is
OPAQUE = (0.6, 1.0)
BEND = 0.15  # of its length that a stroke may bow


def scar(
    image: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A bowed stroke in the colour of some pixel of `other`, or its opposite; see `base.Defect`."""
    high, wide = image.shape[:2]
    longer = rng.uniform(*LONGER)
    width = max(1.5, np.sqrt(area_of(image.shape, rng) / longer))
    angle, length = rng.uniform(0, np.pi), longer * width
    centre = rng.uniform(0.1, 0.9, 2) * (high, wide)
    y, x = np.mgrid[:high, :wide].astype(np.float32)
    along = (x - centre[1]) * np.cos(angle) + (y - centre[0]) * np.sin(angle)
    across = (y - centre[0]) * np.cos(angle) - (x - centre[1]) * np.sin(angle)
    bow = rng.uniform(-BEND, BEND) * length * (1 - np.square(2 * along / length))
    mask = (np.abs(along) <= length / 2) & (np.abs(across - bow) <= width / 2)
    colour = other[rng.integers(other.shape[0]), rng.integers(other.shape[1])].astype(np.float64)
    colour = 255 - colour if rng.random() < 0.5 else colour
    paint = np.broadcast_to(colour, image.shape)
    return blended(image, paint, mask, rng.uniform(*OPAQUE)), mask
