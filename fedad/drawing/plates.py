"""Parts of sheet metal with holes, on black cloth, and what can be wrong with them.

By the rules of MVTec LOCO: all of a structural flaw is to be found, and of a missing hole as much
as the smallest that any picture of it would show; of one too many its own area; of one of another
size the area by which it differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from fedad.drawing.canvas import Canvas, Colour, Point, box, disc, dome, line
from fedad.drawing.flaws import ragged, walk
from fedad.drawing.part import Defect, Masks, Reading, logical, structural
from fedad.drawing.texture import brushed, grain, tint, weather

_WIDER, _NARROWER = 1.25, 0.75  # of a hole's radius
_SMALLEST = 0.9  # of an area, in the picture that shows it smallest
_VOID: Colour = (0.012, 0.012, 0.014)
_LOGICAL = ("missing_hole", "additional_hole", "wider_hole", "narrower_hole")


@dataclass(frozen=True)
class Plate:
    """A rectangular sheet: its middle, half its width and height, and what it is made of."""

    at: Point
    half: Point
    colour: Colour
    height: float
    gloss: float = 0.45
    metal: float = 0.75


@dataclass(frozen=True, eq=False)
class Build:
    """Plates from below to the top, their holes of one radius, and where there is none.

    `fasten` draws what holds the plates together, `fold` bends them: it changes the canvas'
    coordinates and returns the relief (H, W) that is added to all plates.
    """

    plates: tuple[Plate, ...]
    holes: tuple[Point, ...]
    radius: float
    free: tuple[Point, ...]
    fasten: Callable[[Canvas, np.random.Generator], None] | None = None
    fold: Callable[[Canvas, int], np.ndarray] | None = None

    def defects(self, least: float = 1.0) -> dict[str, Defect]:
        """All defects; `least` is the smallest share of a hole's area that a view shows."""
        hole = least * _SMALLEST * pi * self.radius**2 / 4  # of the image, which is 2 x 2
        return (
            structural("edge_damage")
            | structural("cut_corner")
            | structural("deep_scratch")
            | logical("missing_hole", missing_hole=Reading(hole, relative=False))
            | logical("additional_hole", additional_hole=Reading())
            | logical("wider_hole", wider_hole=Reading((_WIDER**2 - 1) * hole, relative=False))
            | logical(
                "narrower_hole", narrower_hole=Reading((1 - _NARROWER**2) * hole, relative=False)
            )
        )

    def draw(self, canvas: Canvas, view: int, defect: str, rng: np.random.Generator) -> Masks:
        """Draws one part; returns reading -> (H, W) bool."""
        _cloth(canvas, rng)
        canvas.pose((rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)), rng.uniform(-3, 3))
        bend = self.fold(canvas, view) if self.fold else np.zeros_like(canvas.height)
        flawed = int(rng.integers(len(self.plates)))
        masks: Masks = {}
        for number, plate in enumerate(self.plates):
            wrong = defect if number == flawed else ""
            masks |= _plate(canvas, plate, bend, wrong, rng)
        metal = canvas.top > 0
        masks |= self._drill(canvas, bend, defect, rng)
        if defect == "deep_scratch":
            masks[defect] = self._deep_scratch(canvas, metal & (canvas.top > 0), flawed, rng)
        if self.fasten:
            self.fasten(canvas, rng)
        weather(canvas, rng)
        return masks

    def _drill(
        self, canvas: Canvas, bend: np.ndarray, defect: str, rng: np.random.Generator
    ) -> Masks:
        """Drills the holes as they are; returns where one is missing, too many, or another."""
        odd = int(rng.integers(len(self.holes)))
        masks: Masks = {}
        for number, planned in enumerate(self.holes):
            at = (planned[0] + rng.normal(0, 0.004), planned[1] + rng.normal(0, 0.004))
            radius = self.radius * rng.uniform(0.98, 1.02)
            if number == odd and defect in _LOGICAL and defect != "additional_hole":
                masks[defect] = _other_hole(canvas, at, radius, bend, defect, rng=rng)
            else:
                _hole(canvas, at, radius, bend)
        if defect == "additional_hole":
            place = self.free[int(rng.integers(len(self.free)))]
            at = (place[0] + rng.uniform(-0.03, 0.03), place[1] + rng.uniform(-0.03, 0.03))
            masks[defect] = _hole(canvas, at, self.radius, bend)
        return masks

    def _deep_scratch(
        self, canvas: Canvas, on: np.ndarray, number: int, rng: np.random.Generator
    ) -> np.ndarray:
        """A groove with burrs on one plate; what of it would cross a hole is not there."""
        at = self._clear_of_holes(self.plates[number], rng)
        points = walk(at, rng.uniform(0, 180), rng.uniform(0.15, 0.35), 0.15, rng)
        groove = line(canvas, points, rng.uniform(0.005, 0.009))
        on = on & (canvas.colour.sum(0) > 3 * _VOID[0] + 0.01)  # not where it crosses a hole
        burr = on * np.clip(1 - np.abs(groove - 0.008) / 0.012, 0, 1)
        cover = on * canvas.cover(groove)
        deep = np.float32(rng.uniform(0.2, 1))
        canvas.height += deep * (0.008 * burr - 0.02 * cover)
        canvas.mix(0.2 * deep * burr, 0.6)
        canvas.mix(0.5 * deep * cover, 0.12)
        return on & (groove < 0.012)

    def _clear_of_holes(self, plate: Plate, rng: np.random.Generator) -> Point:
        """A place on a plate: of some, the one that is farthest from any hole."""
        tried = plate.at + 0.75 * rng.uniform(-1, 1, (4, 2)) * plate.half
        apart = np.linalg.norm(tried[:, None] - np.array(self.holes), axis=2).min(1)
        x, y = tried[apart.argmax()].tolist()
        return x, y


def _cloth(canvas: Canvas, rng: np.random.Generator) -> None:
    """Black cloth, woven, not quite flat."""
    canvas.paint((0.020, 0.020, 0.023))
    canvas.gloss[:] = 0.03
    weave = np.sin(110 * canvas.x) * np.sin(110 * canvas.y)
    canvas.height += 0.004 * weave + 0.012 * grain(canvas, 0.5, rng)
    tint(canvas, weave, 0.25)
    tint(canvas, grain(canvas, 0.4, rng), 0.12)


def _plate(
    canvas: Canvas, plate: Plate, bend: np.ndarray, defect: str, rng: np.random.Generator
) -> Masks:
    nominal = box(canvas, plate.at, plate.half, 0.03)
    shape, masks = nominal, {}
    if defect == "cut_corner":
        gone = _corner(canvas, plate, rng)
        shape, masks[defect] = np.maximum(nominal, gone), (nominal < 0) & (gone > 0)
    if defect == "edge_damage":
        bite = _bite(canvas, plate, rng)
        shape, masks[defect] = np.maximum(nominal, -bite), (nominal < 0) & (bite < 0.012)
        bend = bend + 0.03 * np.exp(-((bite / 0.03) ** 2))  # what is left is turned up
    relief = plate.height + bend + 0.015 * dome(shape, 0.02)
    layer = canvas.lay(shape, plate.colour, relief, gloss=plate.gloss, metal=plate.metal)
    here = canvas.top == layer
    tint(canvas, brushed(canvas, rng, axis=1), 0.05, here)
    tint(canvas, grain(canvas, 0.25, rng), 0.05, here)
    return masks


def _corner(canvas: Canvas, plate: Plate, rng: np.random.Generator) -> np.ndarray:
    """(H, W): above 0 beyond a cut across one of the four corners."""
    right, down = rng.choice((-1.0, 1.0)).item(), rng.choice((-1.0, 1.0)).item()
    steep = rng.uniform(0.7, 1.4)
    cut = max(rng.uniform(0.06, 0.16), 4 * canvas.pixel)  # along both edges, in the mean
    u = right * (canvas.x - plate.at[0]) - plate.half[0]
    v = down * (canvas.y - plate.at[1]) - plate.half[1]
    return (steep * u + v + cut * (1 + steep) / 2) / sqrt(1 + steep**2)


def _bite(canvas: Canvas, plate: Plate, rng: np.random.Generator) -> np.ndarray:
    """(H, W) below 0 in a ragged piece that is broken out of an edge."""
    side, along = rng.choice((-1.0, 1.0)).item(), rng.uniform(-0.75, 0.75)
    lying = rng.uniform() < 0.5
    u, v = (along, side) if lying else (side, along)
    at = (plate.at[0] + u * plate.half[0], plate.at[1] + v * plate.half[1])
    radius = max(rng.uniform(0.018, 0.05), 2.5 * canvas.pixel)
    return disc(canvas, at, radius) + 0.3 * radius * ragged(canvas, 1.2 * radius, rng)


def _hole(canvas: Canvas, at: Point, radius: float, bend: np.ndarray) -> np.ndarray:
    """A drilled hole with a bright chamfer; returns where it is."""
    shape = disc(canvas, at, radius)
    canvas.height -= 0.02 * np.clip(1 - np.abs(shape) / 0.02, 0, 1)
    canvas.lay(shape, _VOID, bend - 0.02, gloss=0)
    return shape < 0


def _other_hole(
    canvas: Canvas,
    at: Point,
    radius: float,
    bend: np.ndarray,
    defect: str,
    *,
    rng: np.random.Generator,
) -> np.ndarray:
    """No hole, or one of another size: where it is, or should be, whichever is more."""
    if defect == "missing_hole":  # filled and painted over
        shape = disc(canvas, at, radius)
        tint(canvas, canvas.cover(shape), rng.choice((-1.0, 1.0)).item() * rng.uniform(0.0, 0.05))
        return shape < 0
    factor = _WIDER if defect == "wider_hole" else _NARROWER
    drilled = _hole(canvas, at, factor * radius, bend)
    return drilled if factor > 1 else disc(canvas, at, radius) < 0
