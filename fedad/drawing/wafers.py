"""Wafers: five products, each with its own die, repeated over the image under a thin film."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, planes, turned
from fedad.drawing.surfaces import product
from fedad.drawing.texture import grain, tint
from fedad.seeding import stream

_CELLS = 32  # of a die's side


@dataclass(frozen=True)
class Wafer:
    """`dies` in half the image, `aspect` times as many along y, and the film's colours.

    `design` is which die it is of all that could be drawn.
    """

    design: int
    dies: float
    aspect: float
    turn: float
    film: Colour
    lines: Colour
    grain: float = 0.02  # how wide the film's grains are

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Puts the dies side by side."""
        x, y = turned(canvas, (rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)), self.turn)
        u, v = self.dies * x, self.dies * self.aspect * y
        column = ((u - np.floor(u)) * _CELLS).astype(np.intp)
        row = ((v - np.floor(v)) * _CELLS).astype(np.intp)
        level = _die(self.design)[np.minimum(row, _CELLS - 1), np.minimum(column, _CELLS - 1)]
        film = planes(self.film)
        canvas.colour[:] = film + level * (planes(self.lines) - film)
        canvas.height += 0.006 * level + 0.02 * grain(canvas, 0.9, rng)
        canvas.gloss[:] = 0.4
        canvas.metal[:] = 0.3
        thick = grain(canvas, 0.8, rng)  # of the film: its colour changes from place to place
        phases = 2 * np.arange(3, dtype=np.float32)[:, None, None]
        canvas.colour *= 1 + np.float32(0.05) * np.sin(thick + phases)
        tint(canvas, grain(canvas, self.grain, rng), 0.03)


@cache
def _die(design: int) -> np.ndarray:
    """(cells, cells) float32 in 0..1: blocks and buses of a product's die, streets around it."""
    rng = stream(0, "draw", "die", str(design))
    die = np.full((_CELLS, _CELLS), 0.35, np.float32)
    for _ in range(9):
        top, left = rng.integers(2, _CELLS - 8, 2)
        high, wide = rng.integers(4, 13, 2)
        die[top : top + high, left : left + wide] = rng.choice((0.15, 0.55, 0.75))
    for place in rng.integers(3, _CELLS - 3, 3):
        die[:, place : place + 1] = 0.9
    die[:2], die[:, :2] = 0.0, 0.0
    return die


_PRODUCTS = (
    Wafer(15, 3.2, 0.9, 2, (0.14, 0.16, 0.24), (0.42, 0.42, 0.40), 0.03),
    Wafer(2, 3.4, 0.7, 2, (0.16, 0.10, 0.22), (0.46, 0.40, 0.48)),
    Wafer(3, 2.2, 1.3, -3, (0.08, 0.18, 0.16), (0.38, 0.46, 0.40)),
    Wafer(4, 4.0, 1.0, 1, (0.22, 0.16, 0.08), (0.50, 0.45, 0.34)),
    Wafer(5, 3.0, 0.8, -1, (0.12, 0.12, 0.14), (0.42, 0.43, 0.46)),
)
WAFERS = tuple(product(f"wafer_{k}", wafer.draw, 1.1) for k, wafer in enumerate(_PRODUCTS, start=1))
