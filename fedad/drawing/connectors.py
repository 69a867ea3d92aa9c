"""Three parts of sheet metal in MVTec LOCO's manner: flat connector, angle, special construct."""

from __future__ import annotations

import numpy as np

from fedad.drawing.canvas import Canvas, box, disc, dome, hexagon
from fedad.drawing.part import Product
from fedad.drawing.plates import Build, Plate

_STEEL, _ZINC, _PAINT = (0.43, 0.44, 0.46), (0.50, 0.51, 0.52), (0.10, 0.17, 0.26)
_SCREWS = ((-0.14, 0.14), (0.42, -0.24), (0.42, 0.14))  # of the special construct
_SHORT = 0.5  # a leg's height where it is seen from the side, in its own


def _folded(canvas: Canvas, view: int) -> np.ndarray:
    """An angle seen from one of its two legs: the other is seen from the side.

    The fold lies along y = 0 of the part, whose legs reach from there to -0.8 and 0.8.
    """
    fold = (0.24, -0.24)[view]
    beside = canvas.y - fold
    facing = beside < 0 if view == 0 else beside > 0
    canvas.y = np.where(facing, beside, beside / np.float32(_SHORT))
    slope = np.where(facing, np.float32(0.12), np.float32(0.45))
    return 0.2 - slope * (np.sqrt(beside * beside + 0.0016) - 0.04)


def _screwed(canvas: Canvas, rng: np.random.Generator) -> None:
    for x, y in _SCREWS:
        at = (x + rng.uniform(-0.006, 0.006), y + rng.uniform(-0.006, 0.006))
        washer, head = disc(canvas, at, 0.095), hexagon(canvas, at, 0.06, rng.uniform(0, 60))
        canvas.lay(washer, _ZINC, 0.19 + 0.01 * dome(washer, 0.02), gloss=0.5, metal=0.8)
        canvas.lay(head, (0.55, 0.53, 0.45), 0.25 + 0.03 * dome(head, 0.03), gloss=0.5, metal=0.8)
        canvas.lay(box(canvas, at, (0.02, 0.02)), (0.2, 0.2, 0.2), 0.25, gloss=0.2)


_FLAT = Build(
    (Plate((0, 0), (0.82, 0.34), _STEEL, 0.08),),
    holes=((-0.60, 0.0), (-0.30, 0.0), (0.30, 0.0), (0.60, 0.0)),
    radius=0.08,
    free=((0.0, 0.0),),
)
_ANGLE = Build(
    (Plate((0, 0), (0.60, 0.78), _ZINC, 0.06),),
    holes=((-0.35, -0.48), (0.35, -0.48), (-0.35, 0.48), (0.35, 0.48)),
    radius=0.09,
    free=((0.0, -0.48), (0.0, 0.48)),
    fold=_folded,
)
_CONSTRUCT = Build(
    (
        Plate((0, 0), (0.80, 0.52), _STEEL, 0.06),
        Plate((0.16, -0.05), (0.40, 0.32), _PAINT, 0.14, gloss=0.35, metal=0.15),
    ),
    holes=((-0.60, -0.34), (-0.60, 0.34), (0.68, -0.34), (0.68, 0.34), (0.16, -0.05)),
    radius=0.07,
    free=((-0.60, 0.0), (0.68, 0.0), (-0.40, -0.34)),
    fasten=_screwed,
)

FLAT_CONNECTOR = Product("flat_connector", _FLAT.defects(), _FLAT.draw)
ANGLE = Product("angle", _ANGLE.defects(_SHORT), _ANGLE.draw, views=("a", "b"))
SPECIAL_CONSTRUCT = Product("special_construct", _CONSTRUCT.defects(), _CONSTRUCT.draw)
