"""What good surfaces look like close up: grain, brush marks, dust."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy import ndimage

from fedad.drawing.canvas import Canvas


def grain(canvas: Canvas, width: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) smooth noise of about unit spread, its blobs about `width` wide."""
    cells = max(4, min(canvas.size, round(2 / width)))
    noise = ndimage.gaussian_filter(rng.standard_normal((cells + 3, cells + 3), np.float32), 0.7)
    return 2.5 * _stretched(_stretched(noise, canvas.size).T, canvas.size).T


def _stretched(field: np.ndarray, size: int) -> np.ndarray:
    """`field` with its rows interpolated to `size` rows, its border left out."""
    at = np.linspace(1, len(field) - 2, size, dtype=np.float32)
    above = np.minimum(at.astype(np.intp), len(field) - 3)
    share = (at - above).astype(np.float32)[:, None]
    share = share * share * (3 - 2 * share)  # without it, lit relief shows the cells' borders
    return (1 - share) * field[above] + share * field[above + 1]


def brushed(canvas: Canvas, rng: np.random.Generator, *, axis: int) -> np.ndarray:
    """(H, W) streaks of unit spread along `axis`: rolled or brushed metal."""
    noise = rng.standard_normal((canvas.size, canvas.size), np.float32)
    length = max(3, canvas.size // 6)
    return ndimage.uniform_filter1d(noise, length, axis=axis) * sqrt(length)


def tint(canvas: Canvas, field: np.ndarray, strength: float, on: np.ndarray | float = 1) -> None:
    """Makes the colour, where `on`, lighter and darker by `strength` times `field`."""
    canvas.colour *= (1 + strength * on * np.clip(field, -2.5, 2.5))[..., None]


def weather(canvas: Canvas, rng: np.random.Generator) -> None:
    """A faint smear and specks of dust: every good part has them, each its own."""
    smear = np.clip(grain(canvas, 0.6, rng) - 0.5, 0, 1.5)
    canvas.gloss *= 1 - 0.4 * smear
    tint(canvas, smear, rng.uniform(-0.10, 0.10))
    for shade in (0.04, 0.65):
        specks = _specks(canvas, rng)[..., None]
        canvas.colour += specks * (shade - canvas.colour)


def _specks(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """(H, W) in 0..1: about seven dots, each between faint and solid."""
    dots = np.zeros((canvas.size, canvas.size), np.float32)
    rows, columns = rng.integers(canvas.size, size=(2, rng.poisson(7)))
    dots[rows, columns] = rng.uniform(0.4, 1, len(rows))
    width = 0.005 / canvas.pixel
    return np.clip(8 * width * width * ndimage.gaussian_filter(dots, width), 0, 1)
