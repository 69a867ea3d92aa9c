"""A judged test image: what the detector says of it, and what is true."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from fedad.errors import DataError
from fedad.types import GOOD, Region

DTYPES = ("uint8", "uint16", "float16", "float32", "float64")


class Cell(NamedTuple):
    """What figures can be told apart by."""

    category: str
    defect: str
    kind: str = ""

    def is_good(self) -> bool:
        return self.defect == GOOD

    def is_bad(self) -> bool:
        return self.defect != GOOD


class Pixels(NamedTuple):
    """The scores of an image's pixels, in no order."""

    negative: np.ndarray  # (n,) outside every region
    positive: np.ndarray  # (p,) inside at least one
    regions: tuple[tuple[np.ndarray, int], ...]  # scores (A,) of each region, its saturation


@dataclass(frozen=True, eq=False)
class Scored:
    """The anomaly map (H, W) of a test image and its regions, at the image's own size.

    `regions` is None where the data set says nothing of where the defect is: the image then counts
    for the image figures alone. `score` is the image's; without one it is the map's highest.

    Raises:
        DataError: a map that is no (H, W) array of uint8, uint16 or float, that is not finite
            somewhere, or that does not fit its regions. The message names `name`.
    """

    map: np.ndarray
    regions: tuple[Region, ...] | None
    category: str = ""
    defect: str = GOOD
    kind: str = ""
    score: float | None = None
    name: str = "an anomaly map"

    def __post_init__(self) -> None:
        if self.map.ndim != 2 or not self.map.size or self.map.dtype.name not in DTYPES:
            raise DataError(
                f"{self.name}: expected (H, W) of {', '.join(DTYPES)}, got {self.map.shape} of "
                f"{self.map.dtype}: was a batch or a colour image saved in its place?"
            )
        highest = self.map.max()
        if self.score is None:
            object.__setattr__(self, "score", float(highest))
        _refuse_infinite(self.name, self.map.min(), highest, self.image_score)
        for region in self.regions or ():
            if region.mask.shape != self.map.shape:
                raise DataError(
                    f"{self.name}: the map is {_size(self.map)}, its mask {_size(region.mask)}: "
                    "scores are compared at the image's own size; was the map not upsampled?"
                )
        bare = self.regions is not None and not self.regions
        if self.cell.is_good() != bare:
            raise DataError(
                f"{self.name}: a good image has no region, a defective one has some, or None where "
                f"there is no mask; this one of {self.defect!r} has "
                f"{'None' if self.regions is None else len(self.regions)}"
            )

    @property
    def cell(self) -> Cell:
        return Cell(self.category, self.defect, self.kind)

    @property
    def image_score(self) -> float:
        return float("nan") if self.score is None else float(self.score)

    def pixels(self) -> Pixels:
        """The scores outside and inside the regions; none of either where those are unknown."""
        if self.regions is None:
            return Pixels(self.map[:0, 0], self.map[:0, 0], ())
        if not self.regions:
            return Pixels(self.map.ravel(), self.map[:0, 0], ())
        regions = tuple((self.map[one.mask], one.saturation) for one in self.regions)
        if len(regions) == 1:
            return Pixels(self.map[~self.regions[0].mask], regions[0][0], regions)
        union = reduce(np.logical_or, (one.mask for one in self.regions))
        return Pixels(self.map[~union], self.map[union], regions)


def _refuse_infinite(name: str, *values: float) -> None:
    for value in values:
        if not np.isfinite(value):
            raise DataError(
                f"{name}: a score is {value}: expected finite scores; did a feature or a "
                "normalisation divide by zero?"
            )


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"
