"""The table on which the demo's parts are put together: relief and material of every pixel.

Shapes are signed distances, negative inside, so that edges are smooth at any size and nothing is
ever resampled. Lengths are in units of half the image: x and y run from -1 to 1, right and down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, radians, sin, sqrt

import numpy as np

from fedad.drawing.fields import norm

Point = tuple[float, float]
Colour = tuple[float, float, float]  # share of the light it sends back, not yet gamma-corrected


@dataclass(frozen=True)
class Camera:
    """How a part lies before the camera: shift of the view, turn in degrees, zoom."""

    shift: Point = (0.0, 0.0)
    turn: float = 0.0
    zoom: float = 1.0


class Canvas:
    """`height`, `gloss`, `metal` (H, W) and `colour` (3, H, W), all float32, and what is on top.

    `x` and `y` (H, W) are the part's own coordinates of each pixel, with the camera's shift, turn
    and zoom already in them. Every shape is a layer: `top` (H, W) is the number of the layer that
    is seen, 0 where nothing was laid, and `layers` the number of the last one.
    """

    def __init__(self, size: int, camera: Camera) -> None:
        line = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
        right, down = np.meshgrid(line - camera.shift[0], line - camera.shift[1])
        c, s = cos(radians(camera.turn)) / camera.zoom, sin(radians(camera.turn)) / camera.zoom
        self.x = c * right + s * down
        self.y = c * down - s * right
        self.size = size
        self.pixel = 2 / size / camera.zoom
        self.height = np.zeros((size, size), np.float32)
        self.gloss = np.full((size, size), 0.15, np.float32)
        self.metal = np.zeros((size, size), np.float32)
        self.colour = np.zeros((3, size, size), np.float32)
        self.top = np.zeros((size, size), np.int16)
        self.layers = 0

    def pose(self, at: Point, turn: float) -> None:
        """Puts the origin of all that is laid from now on at `at`, turned by `turn` degrees."""
        self.x, self.y = turned(self, at, turn)

    def paint(self, colour: Colour) -> None:
        """Gives all of it one colour."""
        self.colour[:] = planes(colour)

    def mix(self, share: np.ndarray, colour: Colour | float) -> None:
        """Lets a colour, or a grey, cover `share` (H, W) of each pixel."""
        self.colour += share * (planes(colour) - self.colour)

    def cover(self, distance: np.ndarray) -> np.ndarray:
        """(H, W) in 0..1: the share of each pixel inside the shape."""
        return np.clip(0.5 - distance / self.pixel, 0, 1)

    def lay(
        self,
        distance: np.ndarray,
        colour: Colour,
        height: float | np.ndarray,
        *,
        gloss: float = 0.2,
        metal: float = 0.0,
    ) -> int:
        """Puts a shape on top and returns the number of its layer."""
        cover = self.cover(distance)
        here = _window(cover)  # most shapes are small: the rest of the image stays as it is
        share = cover[here]
        _blend(self.colour[:, *here], planes(colour), share)
        _blend(self.gloss[here], gloss, share)
        _blend(self.metal[here], metal, share)
        _blend(self.height[here], np.broadcast_to(height, cover.shape)[here], share)
        self.layers += 1
        self.top[here][share > 0.5] = self.layers
        return self.layers


def planes(colour: Colour | float) -> np.ndarray:
    """(3, 1, 1) float32: a colour, or a grey, beside planes of pixels."""
    return np.broadcast_to(np.asarray(colour, np.float32), 3)[:, None, None]


def _blend(below: np.ndarray, above: np.ndarray | float, share: np.ndarray) -> None:
    below += share * (above - below)


def _window(cover: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around all that is covered."""
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    if not len(rows):
        return slice(0), slice(0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def disc(canvas: Canvas, at: Point, radius: float) -> np.ndarray:
    return norm(canvas.x - at[0], canvas.y - at[1]) - radius


def box(
    canvas: Canvas, at: Point, half: Point, corner: float = 0.0, turn: float = 0.0
) -> np.ndarray:
    """A box of half width and half height `half` with round corners, turned in degrees."""
    u, v = turned(canvas, at, turn)
    u, v = np.abs(u) - (half[0] - corner), np.abs(v) - (half[1] - corner)
    outside = norm(np.maximum(u, 0), np.maximum(v, 0))
    return outside + np.minimum(np.maximum(u, v), 0) - corner


def hexagon(canvas: Canvas, at: Point, radius: float, turn: float) -> np.ndarray:
    """A regular hexagon, `radius` from its centre to the middle of its sides."""
    u, v = turned(canvas, at, turn)
    u, v = np.abs(u), np.abs(v)
    return np.maximum(u, 0.5 * u + sqrt(0.75) * v) - radius


def line(canvas: Canvas, points: Sequence[Point], radius: float) -> np.ndarray:
    """A line with round ends through `points`."""
    return np.minimum.reduce([_bar(canvas, *ends) for ends in pairwise(points)]) - radius


def _bar(canvas: Canvas, start: Point, end: Point) -> np.ndarray:
    dx, dy = end[0] - start[0], end[1] - start[1]
    u, v = canvas.x - start[0], canvas.y - start[1]
    t = np.clip((u * dx + v * dy) / (dx * dx + dy * dy), 0, 1)
    return norm(u - t * dx, v - t * dy)


def turned(canvas: Canvas, at: Point, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates of each pixel as seen from `at`, along axes turned by `turn` degrees."""
    c, s = cos(radians(turn)), sin(radians(turn))
    u, v = canvas.x - at[0], canvas.y - at[1]
    return c * u + s * v, c * v - s * u


def dome(distance: np.ndarray, width: float) -> np.ndarray:
    """0 at the edge to 1 at `width` inside, round as a cylinder: the relief of pipes and bevels."""
    t = np.clip(-distance / width, 0, 1)
    return np.sqrt(t * (2 - t))
