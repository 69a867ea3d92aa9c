"""A pipe on a panel, held by one clip."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, Point, box, disc, dome, hexagon, turned
from fedad.drawing.fields import norm
from fedad.drawing.flaws import OIL, crack, dent, scratch, stain
from fedad.drawing.part import Masks, Product, Reading, logical, structural
from fedad.drawing.texture import brushed, grain, tint, weather

_RADIUS = 0.18  # of the pipe, which lies along y = 0
_ARCH = 0.25  # half the width of what bends over it
_FOOT = (0.17, 0.37)  # half the clip's width and height
_PEGS = (-0.31, 0.31)
_DARK: Colour = (0.015, 0.015, 0.015)


def _draw(canvas: Canvas, variant: int, defect: str, rng: np.random.Generator) -> Masks:
    _panel(canvas, rng)
    pipe = _pipe(canvas, variant, rng)
    seat = (rng.uniform(-0.06, 0.06), 0.0)
    below = canvas.layers
    masks = _place_clip(canvas, variant, defect, seat, rng)
    masks |= _damage(canvas, defect, pipe, canvas.top > below, seat=seat, rng=rng)
    weather(canvas, rng)
    return masks


def _panel(canvas: Canvas, rng: np.random.Generator) -> None:
    """Painted sheet metal with two beads and a drain hole; a hose in front of it."""
    canvas.paint((0.30, 0.34, 0.33))
    tint(canvas, grain(canvas, 0.02, rng), 0.05)
    tint(canvas, grain(canvas, 0.35, rng), 0.05)
    canvas.height += 0.0006 * grain(canvas, 0.025, rng)
    for y in (-0.74, 0.72):
        canvas.height += 0.05 * dome(np.abs(canvas.y - y) - 0.12, 0.12)
    canvas.lay(disc(canvas, (-0.66, -0.42), 0.065), _DARK, -0.04, gloss=0)
    sway = rng.uniform(0.02, 0.06) * np.sin(2 * canvas.x + rng.uniform(0, 6))
    hose = np.abs(canvas.y - 0.5 - sway) - 0.055
    canvas.lay(hose, (0.03, 0.03, 0.032), 0.05 + 0.06 * dome(hose, 0.055), gloss=0.3)


def _pipe(canvas: Canvas, variant: int, rng: np.random.Generator) -> np.ndarray:
    """Bare aluminium, green coat or black polyamide; returns where it is."""
    colours: tuple[Colour, ...] = ((0.50, 0.51, 0.54), (0.10, 0.24, 0.13), (0.045, 0.045, 0.05))
    shape = np.abs(canvas.y) - _RADIUS
    canvas.lay(
        shape,
        colours[variant],
        0.10 + _RADIUS * dome(shape, _RADIUS),
        gloss=(0.4, 0.45, 0.25)[variant],
        metal=(0.9, 0.25, 0.0)[variant],
    )
    tint(canvas, brushed(canvas, rng, axis=1), (0.05, 0.03, 0.04)[variant], shape < 0)
    return shape < 0


def _place_clip(
    canvas: Canvas, variant: int, defect: str, seat: Point, rng: np.random.Generator
) -> Masks:
    """Draws the clip where it is, and says where it should be."""
    if defect not in ("missing", "unclipped"):
        _CLIPS[variant](canvas, seat, rng.uniform(-2, 2))
        return {}
    for peg in _PEGS:
        canvas.lay(disc(canvas, (seat[0], peg), 0.04), _DARK, -0.03, gloss=0)
    if defect == "missing":
        return {"missing": box(canvas, (0, 0), (0.45, _FOOT[1])) < 0}
    side, below = rng.choice((-1.0, 1.0)).item(), canvas.layers
    loose = (seat[0] + 0.12 * side, rng.uniform(0.15, 0.22))
    _CLIPS[variant](canvas, loose, -side * rng.uniform(25, 50))
    return {"empty_seat": box(canvas, seat, _FOOT) < 0, "loose_clip": canvas.top > below}


def _arch(v: np.ndarray) -> np.ndarray:
    """The relief of a strap that bends over the pipe."""
    return 0.10 + np.sqrt(np.maximum(_ARCH**2 - v * v, 0))


def _saddle(canvas: Canvas, at: Point, turn: float) -> None:
    """A black saddle with two ribs and two pegs."""
    u, v = turned(canvas, at, turn)
    foot = box(canvas, at, _FOOT, 0.06, turn)
    canvas.lay(foot, (0.05, 0.05, 0.055), 0.05 + 0.04 * dome(foot, 0.04), gloss=0.4)
    strap = box(canvas, at, (0.13, 0.24), 0.03, turn)
    bend = _arch(v)
    canvas.lay(strap, (0.045, 0.045, 0.05), bend * (0.8 + 0.2 * dome(strap, 0.03)), gloss=0.45)
    for side in (-0.07, 0.07):
        rib = np.maximum(np.abs(u - side) - 0.02, np.abs(v) - 0.22)
        canvas.lay(rib, (0.05, 0.05, 0.055), bend + 0.035 * dome(rib, 0.02), gloss=0.5)
    for peg in _PEGS:
        head = norm(u, v - peg) - 0.05
        canvas.lay(head, (0.04, 0.04, 0.045), 0.1 + 0.03 * dome(head, 0.03), gloss=0.5)


def _snap(canvas: Canvas, at: Point, turn: float) -> None:
    """A white snap clip: slim strap, round feet, a latch with a slot."""
    u, v = turned(canvas, at, turn)
    white, bend = (0.62, 0.60, 0.52), _arch(v)
    for peg in _PEGS:
        middle = norm(u, v - peg)
        canvas.lay(middle - 0.11, white, 0.05 + 0.03 * dome(middle - 0.11, 0.03), gloss=0.25)
        canvas.lay(middle - 0.035, (0.1, 0.09, 0.08), 0.04, gloss=0.1)
    strap = np.maximum(np.abs(u) - 0.085, np.abs(v) - 0.26)
    canvas.lay(strap, white, bend * (0.75 + 0.25 * dome(strap, 0.04)), gloss=0.25)
    latch = np.maximum(np.abs(u) - 0.13, np.abs(v - 0.08) - 0.055)
    canvas.lay(latch, (0.55, 0.53, 0.45), bend + 0.05 * dome(latch, 0.02), gloss=0.3)
    slot = np.maximum(np.abs(u) - 0.06, np.abs(v - 0.08) - 0.014)
    canvas.lay(slot, (0.08, 0.07, 0.06), bend, gloss=0)


def _band(canvas: Canvas, at: Point, turn: float) -> None:
    """A steel band on rubber, with a bead and one hexagon bolt."""
    u, v = turned(canvas, at, turn)
    steel, bend = (0.5, 0.49, 0.46), _arch(v)
    canvas.lay(np.maximum(np.abs(u) - 0.15, np.abs(v) - _ARCH), (0.03, 0.03, 0.03), bend, gloss=0.1)
    strap = np.maximum(np.abs(u) - 0.11, np.abs(v) - _FOOT[1])
    canvas.lay(strap, steel, np.maximum(bend + 0.02, 0.13), gloss=0.5, metal=0.8)
    bead = np.maximum(np.abs(u) - 0.02, np.abs(v) - 0.2)
    canvas.lay(bead, (0.4, 0.39, 0.37), bend - 0.01, gloss=0.3, metal=0.8)
    head = (at[0] - 0.3 * sin(radians(turn)), at[1] + 0.3 * cos(radians(turn)))
    washer, bolt = disc(canvas, head, 0.095), hexagon(canvas, head, 0.065, turn + 10)
    canvas.lay(washer, (0.55, 0.55, 0.55), 0.15 + 0.01 * dome(washer, 0.02), gloss=0.5, metal=0.8)
    canvas.lay(bolt, (0.55, 0.53, 0.45), 0.19 + 0.03 * dome(bolt, 0.03), gloss=0.6, metal=0.8)


_CLIPS = (_saddle, _snap, _band)


def _damage(
    canvas: Canvas,
    defect: str,
    pipe: np.ndarray,
    clip: np.ndarray,
    *,
    seat: Point,
    rng: np.random.Generator,
) -> Masks:
    side = rng.choice((-1.0, 1.0)).item()
    beside = (seat[0] + side * rng.uniform(0.35, 0.65), rng.uniform(-0.07, 0.07))
    match defect:
        case "crack":
            at = (seat[0] + rng.uniform(-0.04, 0.04), rng.uniform(-0.12, 0.12))
            mask = crack(canvas, clip, at, rng.uniform(30, 150), rng.uniform(0.25, 0.35), rng=rng)
        case "dent":
            mask = dent(canvas, pipe & ~clip, beside, rng.uniform(0.09, 0.13), rng=rng)
        case "scratch":
            turn, length = rng.uniform(-40, 40), rng.uniform(0.25, 0.45)
            mask = scratch(canvas, pipe & ~clip, beside, turn, length, rng=rng)
        case "stain":
            at = (side * rng.uniform(0.3, 0.7), rng.choice((-0.4, 0.35)).item())
            mask = stain(canvas, canvas.top == 0, at, rng.uniform(0.12, 0.19), OIL, rng=rng)
        case _:
            return {}
    return {defect: mask}


PIPE_CLIP = Product(
    "pipe_clip",
    structural("crack")
    | structural("dent", 0.7)
    | structural("scratch")
    | structural("stain", 0.5)
    | logical("missing", missing=Reading(0.03, relative=False))
    | logical("unclipped", empty_seat=Reading(0.5), loose_clip=Reading(0.6)),
    _draw,
)
