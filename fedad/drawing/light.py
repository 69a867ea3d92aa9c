"""One lamp above the table: relief and material -> the light that reaches the camera."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, radians, sin

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, Point, planes
from fedad.drawing.fields import coarse, enlarged, shrunk, softened

_REACH = 0.3  # of the longest shadow


@dataclass(frozen=True)
class Light:
    """A lamp: `azimuth` in degrees clockwise from the right, `elevation` above the table."""

    azimuth: float
    elevation: float
    colour: Colour
    strength: float

    @property
    def direction(self) -> tuple[float, float, float]:
        """Towards the lamp, of length 1."""
        azimuth, elevation = radians(self.azimuth), radians(self.elevation)
        flat = cos(elevation)
        return cos(azimuth) * flat, sin(azimuth) * flat, sin(elevation)


def shade(canvas: Canvas, light: Light) -> np.ndarray:
    """(3, H, W) float32 linear light: matt and metal bodies, glare, shadows, dark corners."""
    x, y, z = _normals(canvas)
    lx, ly, lz = light.direction
    lit = 1 - 0.85 * _shadow(canvas, light)
    facing = lx * x + ly * y
    matt = 0.2 + np.maximum(facing + lz * z, 0) * lit
    metal = (0.15 + 0.6 * z * z + 0.6 * facing * z) * (0.4 + 0.6 * lit)
    body = (matt + canvas.metal * (metal - matt)) * _openness(canvas)
    half = hypot(lx, ly, lz + 1)  # the camera looks straight down, so this is between both
    glare = _power40(np.maximum((facing + (lz + 1) * z) / half, 0))
    seen = canvas.colour * body
    seen += 0.8 * canvas.gloss * glare * lit
    seen *= planes(light.colour) * np.float32(light.strength)
    return seen


def _power40(field: np.ndarray) -> np.ndarray:
    """`field ** 40` by six products."""
    eighth = field * field
    eighth *= eighth
    eighth *= eighth
    last = eighth * eighth
    last *= last
    return last * eighth


def _normals(canvas: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    down, right = np.gradient(canvas.height, canvas.pixel)
    z = 1 / np.sqrt(1 + down * down + right * right)
    return -right * z, -down * z, z


def _shadow(canvas: Canvas, light: Light) -> np.ndarray:
    """(H, W) in 0..1: whether relief on the way to the lamp is higher than the ray; soft edges."""
    factor = coarse(canvas.size, 128)
    height, pixel = shrunk(canvas.height, factor), factor * canvas.pixel
    lx, ly, lz = light.direction
    highest = height.copy()
    for step in np.linspace(_REACH / 10, _REACH, 10).tolist():
        ray = step * lz / hypot(lx, ly)
        there = _seen_from(height, (step * lx / pixel, step * ly / pixel))
        np.maximum(highest, there - ray, out=highest)
    hidden = softened(np.clip((highest - height) * 25, 0, 1), 0.012 / pixel)
    return _as_fine(hidden, canvas.size, factor)


def _seen_from(field: np.ndarray, away: Point) -> np.ndarray:
    """`field` at `away` = (x, y) pixels from each pixel; beyond the border its edge repeats."""
    last = len(field) - 1
    rows = np.clip(np.arange(len(field)) + round(away[1]), 0, last)
    columns = np.clip(np.arange(len(field)) + round(away[0]), 0, last)
    return field[rows].take(columns, axis=1)


def _openness(canvas: Canvas) -> np.ndarray:
    """(H, W): corners and grooves are darker, since their surroundings stand in the way."""
    factor = coarse(canvas.size, 64)
    around = softened(shrunk(canvas.height, factor), 0.05 / (factor * canvas.pixel))
    return np.clip(1 - 4 * (_as_fine(around, canvas.size, factor) - canvas.height), 0.35, 1.15)


def _as_fine(field: np.ndarray, size: int, factor: int) -> np.ndarray:
    return enlarged(field, size, size / factor) if factor > 1 else field
