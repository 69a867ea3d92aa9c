"""One lamp above the table: relief and material -> the light that reaches the camera."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, hypot, radians, sin

import numpy as np
from scipy import ndimage

from fedad.drawing.canvas import Canvas, Colour, Point

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
    """(H, W, 3) float32 linear light: matt and metal bodies, glare, shadows, dark corners."""
    x, y, z = _normals(canvas)
    lx, ly, lz = light.direction
    lit = 1 - 0.85 * _shadow(canvas, light)
    matt = 0.2 + np.maximum(lx * x + ly * y + lz * z, 0) * lit
    metal = (0.15 + 0.6 * z * z + 0.6 * (lx * x + ly * y) * z) * (0.4 + 0.6 * lit)
    body = (matt + canvas.metal * (metal - matt)) * _openness(canvas)
    half = hypot(lx, ly, lz + 1)  # the camera looks straight down, so this is between both
    glare = np.maximum((lx * x + ly * y + (lz + 1) * z) / half, 0) ** 40
    seen = canvas.colour * body[..., None] + (0.8 * canvas.gloss * glare * lit)[..., None]
    return seen * np.asarray(light.colour, np.float32) * light.strength


def _normals(canvas: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    down, right = np.gradient(canvas.height, canvas.pixel)
    z = 1 / np.sqrt(1 + down * down + right * right)
    return -right * z, -down * z, z


def _shadow(canvas: Canvas, light: Light) -> np.ndarray:
    """(H, W) in 0..1: whether relief on the way to the lamp is higher than the ray; soft edges."""
    lx, ly, lz = light.direction
    highest = canvas.height.copy()
    for step in np.linspace(_REACH / 10, _REACH, 10).tolist():
        away = (step * lx / canvas.pixel, step * ly / canvas.pixel)
        ray = step * lz / hypot(lx, ly)
        np.maximum(highest, _seen_from(canvas.height, away) - ray, out=highest)
    hidden = np.clip((highest - canvas.height) * 25, 0, 1)
    return ndimage.gaussian_filter(hidden, 0.012 / canvas.pixel)


def _seen_from(field: np.ndarray, away: Point) -> np.ndarray:
    """`field` at `away` = (x, y) pixels from each pixel; beyond the border its edge repeats."""
    last = len(field) - 1
    rows = np.clip(np.arange(len(field)) + round(away[1]), 0, last)
    columns = np.clip(np.arange(len(field)) + round(away[0]), 0, last)
    return field[rows[:, None], columns]


def _openness(canvas: Canvas) -> np.ndarray:
    """(H, W): corners and grooves are darker, since their surroundings stand in the way."""
    around = ndimage.gaussian_filter(canvas.height, 0.05 / canvas.pixel)
    return np.clip(1 - 4 * (around - canvas.height), 0.35, 1.15)
