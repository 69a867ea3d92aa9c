"""What good surfaces look like close up: grain, brush marks, dust."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy import ndimage

from fedad.drawing.canvas import Canvas
from fedad.drawing.fields import enlarged, softened


def grain(canvas: Canvas, width: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) smooth noise of about unit spread, its blobs about `width` wide."""
    cells = max(4, min(canvas.size, round(2 / width)))
    noise = softened(rng.standard_normal((cells + 4, cells + 4), np.float32), 0.7)
    return 2.5 * enlarged(noise, canvas.size, cells, 2, smooth=True)


def brushed(canvas: Canvas, rng: np.random.Generator, *, axis: int) -> np.ndarray:
    """(H, W) streaks of unit spread along `axis`: rolled or brushed metal."""
    noise = rng.standard_normal((canvas.size, canvas.size), np.float32)
    length = max(3, canvas.size // 6)
    return ndimage.uniform_filter1d(noise, length, axis=axis) * sqrt(length)


def tint(canvas: Canvas, field: np.ndarray, strength: float, on: np.ndarray | float = 1) -> None:
    """Makes the colour, where `on`, lighter and darker by `strength` times `field`."""
    canvas.colour *= 1 + strength * on * np.clip(field, -2.5, 2.5)


def weather(canvas: Canvas, rng: np.random.Generator) -> None:
    """A faint smear and specks of dust: every good part has them, each its own."""
    smear = np.clip(grain(canvas, 0.6, rng) - 0.5, 0, 1.5)
    canvas.gloss *= 1 - 0.4 * smear
    tint(canvas, smear, rng.uniform(-0.10, 0.10))
    for grey in (0.04, 0.65):
        _specks(canvas, grey, rng)


def _specks(canvas: Canvas, grey: float, rng: np.random.Generator) -> None:
    """About seven dots of dust, each between faint and solid."""
    rows, columns = rng.integers(canvas.size, size=(2, rng.poisson(7)))
    width = 0.005 / canvas.pixel  # in pixels
    reach = round(3 * width) + 1
    line = np.arange(-reach, reach + 1, dtype=np.float32)
    dot = np.exp(-(line * line + (line * line)[:, None]) / (2 * width * width))
    dot *= min(1.25, 8 * width * width)  # one that is smaller than a pixel is fainter
    for row, column, solid in zip(rows, columns, rng.uniform(0.4, 1, len(rows)), strict=True):
        top, left = max(0, row - reach), max(0, column - reach)
        below = canvas.colour[:, top : row + reach + 1, left : column + reach + 1]
        high, wide = below.shape[1:]
        seen = dot[top - row + reach :, left - column + reach :][:high, :wide]
        below += np.clip(np.float32(solid) * seen, 0, 1) * (np.float32(grey) - below)
