"""What is wrong with a texture: scratch, point, colour, wrinkle; and the textures' products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, Point, disc, line, planes
from fedad.drawing.flaws import ragged, walk
from fedad.drawing.part import Masks, Product, structural

Surface = Callable[[Canvas, np.random.Generator], None]  # draws a good one

DEFECTS = structural("scratch") | structural("point") | structural("colour") | structural("wrinkle")


def product(name: str, surface: Surface, strength: float = 1.0) -> Product:
    """A texture; `strength` is how much of each flaw is seen on it."""

    def draw(canvas: Canvas, variant: int, defect: str, rng: np.random.Generator) -> Masks:
        surface(canvas, rng)
        if defect not in _FLAWS:
            return {}
        at = (rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7))
        return {defect: _FLAWS[defect](canvas, at, strength * rng.uniform(0.3, 1), rng)}

    return Product(name, DEFECTS, draw)


def _scratch(canvas: Canvas, at: Point, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A thin line, bright or dark, that is not quite straight."""
    points = walk(at, rng.uniform(0, 180), rng.uniform(0.3, 0.8), 0.08, rng)
    groove = line(canvas, points, rng.uniform(0.004, 0.008))
    cover = canvas.cover(groove)
    canvas.height -= 0.015 * strength * cover
    canvas.mix(np.float32(min(0.9, 0.7 * strength)) * cover, rng.choice((0.05, 0.6)).item())
    return groove < 0.008


def _point(canvas: Canvas, at: Point, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A few specks close together: pits, or particles that lie on the surface."""
    high = rng.choice((-1.0, 1.0)).item()
    grey = rng.choice((0.06, 0.5)).item()
    dots = [
        disc(canvas, (at[0] + x, at[1] + y), max(rng.uniform(0.016, 0.032), canvas.pixel))
        for x, y in rng.normal(0, 0.08, (int(rng.integers(1, 4)), 2)).tolist()
    ]
    dot = np.minimum.reduce(dots)
    cover = canvas.cover(dot)
    canvas.height += 0.03 * high * strength * cover
    canvas.mix(np.float32(min(0.9, 0.8 * strength)) * cover, grey)
    return dot < 0.008


def _colour(canvas: Canvas, at: Point, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A patch that took the dye, or the film, otherwise: another hue, about as bright."""
    radius = rng.uniform(0.14, 0.28)
    edge = disc(canvas, at, radius) + 0.35 * radius * ragged(canvas, 0.8 * radius, rng)
    share = np.clip(-edge / (0.4 * radius), 0, 1)
    hue: Colour = tuple(rng.permutation((-0.2, 0.05, 0.15)).tolist())
    canvas.colour *= 1 + np.float32(strength) * share * planes(hue)
    return share > 0.1


def _wrinkle(canvas: Canvas, at: Point, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A fold or a blister in a line, seen by its shading alone."""
    points = walk(at, rng.uniform(0, 180), rng.uniform(0.5, 1.0), 0.2, rng)
    middle = line(canvas, points, 0.0)
    width = rng.uniform(0.035, 0.06)
    canvas.height += (
        rng.choice((-1.0, 1.0)).item() * 0.8 * strength * width * np.exp(-((middle / width) ** 2))
    )
    return middle < 1.2 * width


_FLAWS = {"scratch": _scratch, "point": _point, "colour": _colour, "wrinkle": _wrinkle}
