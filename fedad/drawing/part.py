"""What a drawn product is: how it is drawn, and what the masks of its defects mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fedad.drawing.canvas import Canvas
from fedad.types import Saturation

Masks = dict[str, np.ndarray]  # reading -> (H, W) bool
Draw = Callable[[Canvas, int, str, np.random.Generator], Masks]


@dataclass(frozen=True)
class Reading:
    """One thing that is wrong with an image, and a mask file of its own.

    `share` is how much of it must be found: of the region where `relative`, else of the whole
    image, so that it fits whatever size is drawn.
    """

    share: float = 1.0
    relative: bool = True

    def saturation(self, size: int) -> Saturation:
        """In pixels of an image of `size` x `size`, or as a share of the region."""
        threshold = self.share if self.relative else max(1, round(self.share * size * size))
        return Saturation(threshold, self.relative)


@dataclass(frozen=True, eq=False)
class Defect:
    """A defect's kind, "structural" or "logical", and its readings by name."""

    kind: str
    readings: Mapping[str, Reading]


@dataclass(frozen=True, eq=False)
class Product:
    """A product of which each plant builds a variant: `draw(canvas, variant, defect, rng)`
    returns its masks.

    One with `views` has a picture from each of them; its `variant` is the view's number.
    """

    name: str
    defects: Mapping[str, Defect]
    draw: Draw
    views: tuple[str, ...] = ()

    @property
    def pixel_values(self) -> dict[str, int]:
        """Reading -> the value that marks it in a mask, from 255 down."""
        readings = (name for defect in self.defects.values() for name in defect.readings)
        return {name: 255 - place for place, name in enumerate(readings)}


def structural(name: str, share: float = 1.0) -> dict[str, Defect]:
    """A flaw with one reading, of which `share` must be found."""
    return {name: Defect("structural", {name: Reading(share)})}


def logical(name: str, **readings: Reading) -> dict[str, Defect]:
    """A part that is missing, misplaced or too many; several readings where it is in two places."""
    return {name: Defect("logical", readings)}
