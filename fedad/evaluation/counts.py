"""What a site says of its test images: counts that add up over sites, never a score or an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fedad.errors import MismatchError
from fedad.evaluation.binning import Binning, binning_for
from fedad.evaluation.scored import Cell, Scored

IMAGES, NEGATIVE, POSITIVE, COVERED, PRO = range(5)  # the rows of a cell's table


@dataclass(frozen=True, eq=False)
class Counts:
    """How many images and pixels of each cell (category, defect, kind) fell in each score bin.

    A cell's table is (5, bins) int64: images, pixels outside all regions, pixels inside one,
    and by how much the regions' coverage rises in the bin, once saturated (sPRO) and once not
    (PRO). A region found in full has added `binning.unit`.

    Counts add: `a + b` is what one site holding the images of both would have counted, bit for
    bit and in any order, and `Counts()` adds nothing. Resampled counts carry one table a replicate
    in front, (R, 5, bins), and add replicate by replicate.
    """

    cells: Mapping[Cell, np.ndarray] = field(default_factory=dict)
    binning: Binning | None = None  # None while nothing is counted

    @classmethod
    def of(cls, image: Scored, binning: Binning | None = None) -> Counts:
        """The counts of one test image, in the bins that its map's dtype asks for."""
        binning = binning or binning_for(image.map.dtype)
        return cls({image.cell: _tabulate(image, binning)}, binning)

    @classmethod
    def coarse(cls, image: Scored) -> Counts:
        """The counts of one test image in 256 bins: what `resample` draws replicates from."""
        return cls.of(image, binning_for(image.map.dtype, coarse=True))

    def __add__(self, other: Counts) -> Counts:
        """What both counted.

        Raises:
            MismatchError: other bins, or another number of replicates.
        """
        if self.binning is None or other.binning is None:
            return other if self.binning is None else self
        if not self.binning.adds_to(other.binning):
            raise MismatchError(
                f"counts in bins {self.binning.name!r} and {other.binning.name!r} do not add: do "
                "some sites write integer maps and others float ones?"
            )
        if self.batch != other.batch:
            raise MismatchError(
                f"counts of {self.batch or 'no'} and {other.batch or 'no'} replicates do not add"
            )
        cells = dict(self.cells)
        for cell, table in other.cells.items():
            cells[cell] = cells[cell] + table if cell in cells else table
        return Counts(cells, self.binning)

    @property
    def batch(self) -> tuple[int, ...]:
        """(R,) of resampled counts, () of plain ones."""
        return next(iter(self.cells.values())).shape[:-2] if self.cells else ()

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({cell.category for cell in self.cells}))

    def only(self, wanted: Callable[[Cell], bool]) -> Counts:
        """The counts of the wanted cells."""
        cells = {cell: table for cell, table in self.cells.items() if wanted(cell)}
        return Counts(cells, self.binning if cells else None)

    def in_category(self, category: str) -> Counts:
        """The counts of one category."""
        return self.only(lambda cell: cell.category == category)

    def row(self, number: int) -> np.ndarray:
        """(..., bins): one row of the tables, added over all cells."""
        tables = [table[..., number, :] for table in self.cells.values()]
        return np.sum(tables, axis=0) if tables else np.zeros(1, np.int64)

    def sizes(self) -> dict[str, int]:
        """How many images, regions and pixels plain counts stand for."""
        return {
            "good_images": int(self.only(Cell.is_good).row(IMAGES).sum()),
            "defective_images": int(self.only(Cell.is_bad).row(IMAGES).sum()),
            "regions": int(self.row(COVERED).sum()) // (self.binning.unit if self.binning else 1),
            "negative_pixels": int(self.row(NEGATIVE).sum()),
            "positive_pixels": int(self.row(POSITIVE).sum()),
        }


def _tabulate(image: Scored, binning: Binning) -> np.ndarray:
    if binning.lossless and not image.image_score.is_integer():
        raise MismatchError(
            f"{image.name}: an image score of {image.image_score} has no bin among the integers of "
            f"its {image.map.dtype} map: give the score in the map's own units"
        )
    table = np.zeros((5, len(binning)), np.int64)
    table[IMAGES, binning.bin_of(image.image_score)] = 1
    pixels = image.pixels()
    table[NEGATIVE] = binning.count(pixels.negative)
    table[POSITIVE] = binning.count(pixels.positive)
    for scores, saturation in pixels.regions:
        found = binning.count(scores)[::-1].cumsum()[::-1]  # at each bin or above
        table[COVERED] += _rises(found / saturation, binning.unit)
        table[PRO] += _rises(found / len(scores), binning.unit)
    return table


def _rises(coverage: np.ndarray, unit: int) -> np.ndarray:
    """What each bin adds to a coverage that is given at the bin or above, in parts of `unit`."""
    whole = np.rint(unit * np.minimum(coverage, 1)).astype(np.int64)
    return whole - np.append(whole[1:], 0)
