"""Brushed metal: four products that differ in how they were brushed, and in the metal."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from scipy import ndimage

from fedad.drawing.canvas import Canvas, Colour
from fedad.drawing.fields import norm
from fedad.drawing.surfaces import product
from fedad.drawing.texture import brushed, grain, tint, weather


@dataclass(frozen=True)
class Metal:
    """`brush` is "along", "across", "crossed" or "round"."""

    brush: str
    colour: Colour
    gloss: float

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Brushes it."""
        canvas.paint(self.colour)
        canvas.gloss[:] = self.gloss
        canvas.metal[:] = 0.8
        streaks = self._streaks(canvas, rng)
        canvas.height += 0.0012 * streaks + 0.015 * grain(canvas, 0.8, rng)
        tint(canvas, streaks, 0.09)
        tint(canvas, grain(canvas, 0.3, rng), 0.04)
        weather(canvas, rng)

    def _streaks(self, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
        match self.brush:
            case "along":
                return brushed(canvas, rng, axis=1)
            case "across":
                return brushed(canvas, rng, axis=0)
            case "crossed":
                return 0.7 * (brushed(canvas, rng, axis=0) + brushed(canvas, rng, axis=1))
            case _:
                return _round(canvas, rng)


def _round(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """(H, W) arcs of unit spread around a place beyond the image."""
    at = (rng.uniform(-0.3, 0.3), 2.2)
    x, y = canvas.x - at[0], canvas.y - at[1]
    far, angle = norm(x, y) / canvas.pixel, np.arctan2(y, x) * (24 / pi)
    noise = rng.standard_normal((64, 1024), np.float32)
    noise = ndimage.uniform_filter1d(noise, 3, axis=0, mode="wrap") * np.float32(1.7)
    return noise[angle.astype(np.intp) % 64, far.astype(np.intp) % 1024]


_PRODUCTS = (
    Metal("along", (0.42, 0.43, 0.45), 0.35),
    Metal("across", (0.48, 0.36, 0.16), 0.30),
    Metal("crossed", (0.30, 0.31, 0.34), 0.25),
    Metal("round", (0.46, 0.33, 0.27), 0.35),
)
METALS = tuple(
    product(f"metal_{k}", metal.draw, 0.45) for k, metal in enumerate(_PRODUCTS, start=1)
)
