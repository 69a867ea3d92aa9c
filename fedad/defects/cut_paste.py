"""A rectangle of the part somewhere else on the part (Li et al., CutPaste, CVPR 2021)."""

from __future__ import annotations

import numpy as np

from fedad.defects.base import area_of

__all__ = ["cut_paste"]

SLIMMEST = 0.3  # of a rectangle's sides, the shorter in longer ones
DARKER, LIGHTER = 0.8, 1.2  # what its brightness is multiplied by


def cut_paste(
    image: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A piece of `other`, a little darker or lighter, pasted elsewhere; see `base.Defect`."""
    high, wide = image.shape[:2]
    ratio = np.exp(rng.uniform(np.log(SLIMMEST), -np.log(SLIMMEST)))
    area = area_of(image.shape, rng)
    h = int(np.clip(round(np.sqrt(area * ratio)), 1, min(high, other.shape[0])))
    w = int(np.clip(round(np.sqrt(area / ratio)), 1, min(wide, other.shape[1])))
    top, left = _corner(other.shape, h, w, rng)
    to_top, to_left = _corner(image.shape, h, w, rng)
    piece = other[top : top + h, left : left + w] * rng.uniform(DARKER, LIGHTER)
    found, mask = image.copy(), np.zeros((high, wide), np.bool_)
    found[to_top : to_top + h, to_left : to_left + w] = np.clip(np.rint(piece), 0, 255)
    mask[to_top : to_top + h, to_left : to_left + w] = True
    return found, mask


def _corner(shape: tuple[int, ...], h: int, w: int, rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(shape[0] - h + 1)), int(rng.integers(shape[1] - w + 1))
