"""A steel strap on a fuel tank: three holes, a screw in the first and the last."""

from __future__ import annotations

from math import radians

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, Point, box, disc, dome, hexagon, line
from fedad.drawing.flaws import RUST, crack, dent, scratch, stain
from fedad.drawing.part import Masks, Product, Reading, logical, structural
from fedad.drawing.texture import brushed, grain, tint, weather

_HOLES = (-0.52, 0.0, 0.52)  # along the strap, which lies along x = 0
_WIDTH = 0.26  # half the strap's
_TOP = 0.16  # the strap's height
_SEAT = 0.17  # the radius of the widest screw
_DARK: Colour = (0.012, 0.012, 0.012)


def _draw(canvas: Canvas, variant: int, defect: str, rng: np.random.Generator) -> Masks:
    _tank(canvas, rng)
    strap = _strap(canvas, rng)
    masks = _place_screws(canvas, variant, defect, rng)
    masks |= _damage(canvas, defect, canvas.top == strap, rng)
    weather(canvas, rng)
    return masks


def _tank(canvas: Canvas, rng: np.random.Generator) -> None:
    """Blow-moulded black plastic: pebbled, with a rounded shoulder, a seam and moulded signs."""
    canvas.paint((0.060, 0.062, 0.066))
    canvas.gloss[:] = 0.22
    canvas.height += 0.0024 * grain(canvas, 0.028, rng) + 0.004 * grain(canvas, 0.5, rng)
    canvas.height -= 2 * np.maximum(canvas.x - 0.78, 0) ** 2
    canvas.height += 0.03 * dome(np.abs(canvas.y - 0.26) - 0.03, 0.03)
    arrow = np.minimum(
        line(canvas, ((-0.64, -0.48), (-0.64, -0.12)), 0.025),
        line(canvas, ((-0.74, -0.34), (-0.64, -0.48), (-0.54, -0.34)), 0.025),
    )
    ring = np.abs(disc(canvas, (-0.62, 0.62), 0.15)) - 0.02
    canvas.height += 0.02 * (dome(arrow, 0.025) + dome(ring, 0.02))


def _strap(canvas: Canvas, rng: np.random.Generator) -> int:
    """Galvanised, its edges rolled up, a raised rim around each hole; returns its layer."""
    across = np.abs(canvas.x)
    rolled = dome(np.abs(across - _WIDTH + 0.035) - 0.035, 0.035)
    rims = sum(canvas.cover(disc(canvas, (0, y), 0.13)) for y in _HOLES)
    strap = canvas.lay(
        across - _WIDTH,
        (0.46, 0.47, 0.48),
        _TOP + 0.035 * rolled + 0.03 * rims,
        gloss=0.45,
        metal=0.75,
    )
    tint(canvas, grain(canvas, 0.07, rng), 0.10, canvas.top == strap)
    tint(canvas, brushed(canvas, rng, axis=0), 0.04, canvas.top == strap)
    for y in _HOLES:
        canvas.lay(disc(canvas, (0, y), 0.075), _DARK, 0.0, gloss=0)
    return strap


def _place_screws(canvas: Canvas, variant: int, defect: str, rng: np.random.Generator) -> Masks:
    """Screws the strap down, and says where a screw should be or should not be."""
    holes = [0, 2]
    masks: Masks = {}
    if defect in ("missing_screw", "wrong_hole"):
        empty = holes.pop(int(rng.integers(2)))
        reading = "missing_screw" if defect == "missing_screw" else "empty_hole"
        masks[reading] = disc(canvas, (0, _HOLES[empty]), _SEAT) < 0
    for hole in holes:
        _screw(canvas, variant, hole, rng)
    if defect == "wrong_hole":
        masks["stray_screw"] = _screw(canvas, variant, 1, rng)
    return masks


def _screw(canvas: Canvas, variant: int, hole: int, rng: np.random.Generator) -> np.ndarray:
    """Draws a screw into a hole, turned as it happens to stand; returns where it is seen."""
    below = canvas.layers
    at = (rng.uniform(-0.012, 0.012), _HOLES[hole] + rng.uniform(-0.012, 0.012))
    _SCREWS[variant](canvas, at, rng.uniform(0, 90))
    return canvas.top > below


def _flange(canvas: Canvas, at: Point, turn: float) -> None:
    """A zinc-plated hexagon screw with a flange."""
    zinc = (0.58, 0.59, 0.60)
    flange, head = disc(canvas, at, 0.165), hexagon(canvas, at, 0.105, turn)
    canvas.lay(flange, zinc, _TOP + 0.05 + 0.05 * dome(flange, 0.07), gloss=0.5, metal=0.9)
    canvas.lay(head, zinc, _TOP + 0.15 + 0.03 * dome(head, 0.03), gloss=0.5, metal=0.9)
    mark = np.abs(disc(canvas, at, 0.055)) - 0.012
    canvas.lay(mark, (0.40, 0.41, 0.42), _TOP + 0.17, gloss=0.4, metal=0.9)


def _torx(canvas: Canvas, at: Point, turn: float) -> None:
    """A black pan head with a six-lobe drive."""
    head = disc(canvas, at, 0.15)
    canvas.lay(head, (0.035, 0.035, 0.038), _TOP + 0.05 + 0.09 * dome(head, 0.10), gloss=0.6)
    angle = np.arctan2(canvas.y - at[1], canvas.x - at[0]) - radians(turn)
    drive = disc(canvas, at, 0.06) - 0.012 * np.cos(6 * angle)
    canvas.lay(drive, _DARK, _TOP + 0.02, gloss=0.1)
    canvas.lay(disc(canvas, at, 0.016), (0.05, 0.05, 0.05), _TOP + 0.06, gloss=0.4)


def _cross(canvas: Canvas, at: Point, turn: float) -> None:
    """A yellow-chromated cross recess on a wide washer."""
    washer, head = disc(canvas, at, _SEAT), disc(canvas, at, 0.12)
    steel, brass = (0.50, 0.51, 0.52), (0.56, 0.41, 0.14)
    canvas.lay(washer, steel, _TOP + 0.04 + 0.01 * dome(washer, 0.02), gloss=0.5, metal=0.9)
    canvas.lay(head, brass, _TOP + 0.07 + 0.06 * dome(head, 0.09), gloss=0.5, metal=0.7)
    for along in (turn, turn + 90):
        slot = box(canvas, at, (0.075, 0.018), 0.01, along)
        canvas.lay(slot, (0.06, 0.045, 0.02), _TOP + 0.05, gloss=0.1)


_SCREWS = (_flange, _torx, _cross)


def _damage(canvas: Canvas, defect: str, strap: np.ndarray, rng: np.random.Generator) -> Masks:
    side = rng.choice((-1.0, 1.0)).item()
    on_strap = (rng.uniform(-0.08, 0.08), side * rng.uniform(0.2, 0.3))
    on_tank = (side * rng.uniform(0.5, 0.7), rng.uniform(-0.6, 0.6))
    tank = canvas.top == 0
    match defect:
        case "crack":
            turn, length = rng.uniform(0, 180), rng.uniform(0.3, 0.45)
            mask = crack(canvas, tank, on_tank, turn, length, rng=rng)
        case "dent":
            mask = dent(canvas, tank, on_tank, rng.uniform(0.11, 0.16), rng=rng)
        case "rust":
            mask = stain(canvas, strap, on_strap, rng.uniform(0.10, 0.15), RUST, rng=rng)
        case "scratch":
            turn, length = rng.uniform(0, 180), rng.uniform(0.25, 0.4)
            mask = scratch(canvas, strap, on_strap, turn, length, rng=rng)
        case _:
            return {}
    return {defect: mask}


TANK_SCREW = Product(
    "tank_screw",
    structural("crack")
    | structural("dent", 0.7)
    | structural("rust", 0.5)
    | structural("scratch")
    | logical("missing_screw", missing_screw=Reading(0.01, relative=False))
    | logical("wrong_hole", empty_hole=Reading(0.5), stray_screw=Reading(0.5)),
    _draw,
)
