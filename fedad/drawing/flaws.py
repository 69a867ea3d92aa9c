"""Structural damage of a surface: each flaw changes the canvas and returns its (H, W) bool mask.

`on` (H, W) bool is the surface that is damaged: nothing beyond it changes, or is in the mask.
"""

from __future__ import annotations

from math import radians

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, Point, box, disc, line
from fedad.drawing.texture import grain

OIL: Colour = (0.045, 0.032, 0.018)
RUST: Colour = (0.26, 0.10, 0.03)


def scratch(
    canvas: Canvas,
    on: np.ndarray,
    at: Point,
    turn: float,
    length: float,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """A bright, uneven groove."""
    groove = line(canvas, walk(at, turn, length, 0.10, rng), rng.uniform(0.005, 0.009))
    cover = canvas.cover(groove) * on
    canvas.height -= 0.02 * cover
    canvas.mix(0.7 * cover, rng.uniform(0.5, 0.75))
    canvas.gloss += 0.4 * cover
    return on & (groove < 0.012)


def crack(
    canvas: Canvas,
    on: np.ndarray,
    at: Point,
    turn: float,
    length: float,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """A dark, jagged line with one branch."""
    points = walk(at, turn, length, 0.35, rng)
    fork = walk(points[3], turn + rng.uniform(35, 70), length, 0.35, rng)[3:]
    gap = np.minimum(line(canvas, points, 0.006), line(canvas, fork, 0.004))
    cover = canvas.cover(gap) * on
    canvas.height -= 0.03 * cover
    canvas.colour *= 1 - 0.85 * cover
    canvas.gloss *= 1 - cover
    return on & (gap < 0.012)


def dent(
    canvas: Canvas, on: np.ndarray, at: Point, radius: float, *, rng: np.random.Generator
) -> np.ndarray:
    """A smooth hollow with a raised rim, seen by its shading alone."""
    squash = rng.uniform(0.6, 1.0)
    hollow = box(canvas, at, (radius, radius * squash), radius * squash, rng.uniform(0, 180))
    depth = np.clip(-hollow / radius, 0, 1)
    rim = np.exp(-((hollow / (0.3 * radius)) ** 2))
    canvas.height += on * radius * (0.12 * rim - 0.7 * depth * np.sqrt(depth))
    return on & (hollow < 0.1 * radius)


def stain(
    canvas: Canvas,
    on: np.ndarray,
    at: Point,
    radius: float,
    colour: Colour,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """A ragged, shining film of oil or rust."""
    edge = disc(canvas, at, radius) + 0.35 * radius * ragged(canvas, 0.7 * radius, rng)
    film = np.clip(-edge / (0.5 * radius), 0, 1) * on
    canvas.mix(np.float32(rng.uniform(0.5, 0.8)) * np.sqrt(film), colour)
    canvas.gloss += 0.4 * film
    return film > 0.05


def burn(
    canvas: Canvas, on: np.ndarray, at: Point, radius: float, *, rng: np.random.Generator
) -> np.ndarray:
    """Charred and blistered plastic."""
    edge = disc(canvas, at, radius) + 0.3 * radius * ragged(canvas, 0.8 * radius, rng)
    char = np.clip(-edge / (0.5 * radius), 0, 1) * on
    canvas.colour *= 1 - 0.85 * char
    canvas.height += 0.012 * char * grain(canvas, 0.03, rng)
    return char > 0.1


def walk(
    at: Point, turn: float, length: float, wander: float, rng: np.random.Generator
) -> list[Point]:
    """Seven points of a wandering line, `at` in their middle."""
    angles = radians(turn) + wander * rng.standard_normal(6)
    steps = length / 6 * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    return [(x, y) for x, y in (points + at - points[3]).tolist()]


def ragged(canvas: Canvas, width: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) noise that bends an edge and never takes the whole of what is inside."""
    return np.clip(grain(canvas, width, rng), -1.5, 1.5)
