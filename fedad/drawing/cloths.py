"""Woven cloth: five products that differ in weave, thread and colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, planes, turned
from fedad.drawing.surfaces import product
from fedad.drawing.texture import grain, tint


@dataclass(frozen=True)
class Cloth:
    """`threads` in half the image; `over` says of how many and in what steps threads pass."""

    threads: float
    turn: float
    over: tuple[int, int]  # of each `second` threads, `first` lie on top; 1 of 2 is plain weave
    warp: Colour
    weft: Colour
    strength: float  # of its flaws: some weaves hide more than others

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Weaves it."""
        x, y = turned(canvas, (rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)), self.turn)
        wander = 0.2 * grain(canvas, 0.5, rng)
        across, along = self.threads * x + wander, self.threads * y + wander
        column, row = np.floor(across), np.floor(along)
        u, v = across - column - 0.5, along - row - 0.5  # from the middle of each thread
        first, second = self.over
        on_top = np.mod(column + row, second) < first
        profile, length = np.where(on_top, u, v), np.where(on_top, v, u)
        bow = 1 - 2 * profile * profile - 1.2 * length * length
        canvas.height += 0.35 / self.threads * bow
        canvas.colour[:] = np.where(on_top, planes(self.warp), planes(self.weft))
        canvas.gloss[:] = 0.05
        thread = np.where(on_top, _of_thread(column, rng), _of_thread(row, rng))
        tint(canvas, thread, 0.06)
        tint(canvas, grain(canvas, 0.02, rng), 0.05)
        tint(canvas, grain(canvas, 0.5, rng), 0.03)


def _of_thread(number: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W): each thread is spun and dyed a little otherwise."""
    tones = rng.standard_normal(512, np.float32)
    return tones[number.astype(np.intp) % 512]


_PRODUCTS = (
    Cloth(15, 3, (1, 2), (0.30, 0.27, 0.20), (0.36, 0.33, 0.26), 0.8),
    Cloth(11, 42, (2, 4), (0.05, 0.09, 0.22), (0.20, 0.23, 0.30), 1.3),
    Cloth(19, -8, (1, 2), (0.35, 0.10, 0.08), (0.28, 0.08, 0.07), 1.2),
    Cloth(13, 15, (1, 3), (0.12, 0.20, 0.12), (0.22, 0.30, 0.18), 0.6),
    Cloth(16, 30, (2, 4), (0.24, 0.24, 0.25), (0.12, 0.12, 0.13), 0.55),
)
CLOTHS = tuple(
    product(f"cloth_{k}", cloth.draw, cloth.strength) for k, cloth in enumerate(_PRODUCTS, start=1)
)
