"""What a site says of its test images: counts that add up over sites, never a score or an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedad.errors import MismatchError
from fedad.evaluation.binning import Binning, binning_for
from fedad.evaluation.bins import Bins, IntegerBins
from fedad.evaluation.scored import Cell, Scored
from fedad.evaluation.tally import Line, Tally, divided

IMAGES, NEGATIVE, POSITIVE, COVERED, PRO = range(5)  # the rows of a cell
STRETCH = 64  # pixel bins that are held together; each by itself where there are replicates
_PIXEL_ROWS = PRO  # of a cell
_NO_IMAGES, _NO_PIXELS = Tally.empty(1), Tally.empty(STRETCH)

Wanted = Callable[[Cell], bool]


def every(cell: Cell) -> bool:
    """All cells are wanted."""
    return True


@dataclass(frozen=True, eq=False)
class Counts:
    """How many images and pixels of each cell (category, defect, kind) fell in each score bin.

    A cell has five rows: images, pixels outside all regions, pixels inside one, and by how much the
    regions' coverage rises in the bin, once saturated (sPRO) and once not (PRO). A region found in
    full has added `binning.unit`. Bins in which nothing fell take no memory.

    Counts add: `a + b` is what one site holding the images of both would have counted, bit for bit
    and in any order, and `Counts()` adds nothing. Resampled counts hold R numbers in place of each,
    and add replicate by replicate.
    """

    cells: tuple[Cell, ...] = ()  # in order
    images: Tally = _NO_IMAGES  # a row a cell
    pixels: Tally = _NO_PIXELS  # four rows a cell
    binning: Binning | None = None  # None while nothing is counted

    @classmethod
    def of(cls, image: Scored, binning: Binning | None = None) -> Counts:
        """The counts of one test image, in the bins that its map's dtype asks for.

        Raises:
            MismatchError: an image score that has no bin, where bins are of integers.
        """
        binning = binning or binning_for(image.map.dtype)
        return cls.made_of({image.cell: _rows(image, binning)}, binning)

    @classmethod
    def coarse(cls, image: Scored) -> Counts:
        """The counts of one test image in wide bins: what `resample` draws replicates from."""
        return cls.of(image, binning_for(image.map.dtype, coarse=True))

    @classmethod
    def made_of(cls, rows: Mapping[Cell, Sequence[Line]], binning: Binning) -> Counts:
        """The counts whose cells have these five rows, each as `Counts.row` gives it."""
        cells = sorted(rows)
        first = [rows[cell][IMAGES] for cell in cells]
        rest = [row for cell in cells for row in rows[cell][NEGATIVE:]]
        width = 1 if first and first[0].values.ndim > 1 else STRETCH
        images = _end_to_end(first, len(binning.images), 1)
        return cls(tuple(cells), images, _end_to_end(rest, span(binning.pixels), width), binning)

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
        cells = self.cells
        if cells != other.cells:
            cells = tuple(sorted({*cells, *other.cells}))
        one, two = self._among(cells), other._among(cells)
        return Counts(cells, one.images + two.images, one.pixels + two.pixels, self.binning)

    @property
    def batch(self) -> tuple[int, ...]:
        """(R,) of resampled counts, () of plain ones."""
        return self.images.batch

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({cell.category for cell in self.cells}))

    def only(self, wanted: Wanted) -> Counts:
        """The counts of the wanted cells."""
        cells = tuple(cell for cell in self.cells if wanted(cell))
        if cells == self.cells:
            return self
        return self._among(cells) if cells else Counts()

    def in_category(self, category: str) -> Counts:
        """The counts of one category."""
        return self.only(lambda cell: cell.category == category)

    def row(self, number: int, wanted: Wanted = every) -> Line:
        """One row (`IMAGES` to `PRO`), added over the wanted cells: images, pixels, or parts of a
        region of which `binning.unit` are a whole one, by the bins of images or of pixels."""
        tally, length, rows = self._holding(number)
        which = np.zeros(len(self.cells) * rows, bool)
        which[max(0, number - 1) :: rows] = [wanted(cell) for cell in self.cells]
        return tally.folded(length, which[tally.stretches // length]).line()

    def totals(self) -> np.ndarray:
        """(..., cells, 5): the sum over the bins of each row."""
        count = len(self.cells)
        images, pixels = (
            tally.sums(length, count * rows).reshape(count, rows, *self.batch)
            for tally, length, rows in map(self._holding, (IMAGES, NEGATIVE))
        )
        return np.moveaxis(np.concatenate([images, pixels], axis=1), (0, 1), (-2, -1))

    def places(self) -> np.ndarray:
        """(cells, 5): how many places of each row take memory, whatever they hold."""
        count = len(self.cells)
        images, pixels = (
            np.bincount(tally.stretches // length, minlength=count * rows).reshape(count, rows)
            * tally.width
            for tally, length, rows in map(self._holding, (IMAGES, NEGATIVE))
        )
        return np.concatenate([images, pixels], axis=1)

    def sizes(self) -> dict[str, int]:
        """How many images, regions and pixels plain counts stand for."""
        totals = self.totals()
        good = np.array([cell.is_good() for cell in self.cells], bool)
        images, negative, positive, covered, _ = totals.T
        return {
            "good_images": int(images[good].sum()),
            "defective_images": int(images[~good].sum()),
            "regions": int(covered.sum()) // (self.binning.unit if self.binning else 1),
            "negative_pixels": int(negative.sum()),
            "positive_pixels": int(positive.sum()),
        }

    def replicate(self, number: int) -> Counts:
        """The plain counts of one replicate."""
        images, pixels = (
            Tally.of(tally.stretches, tally.values[:, 0, number], width)
            for tally, width in ((self.images, 1), (self.pixels, STRETCH))
        )
        return Counts(self.cells, images, pixels, self.binning)

    def _holding(self, number: int) -> tuple[Tally, int, int]:
        """What holds a row; the stretches from one row of it to the next; its rows a cell."""
        if number == IMAGES:
            return self.images, len(self.binning.images) if self.binning else 1, 1
        length = span(self.binning.pixels) // self.pixels.width if self.binning else 1
        return self.pixels, length, _PIXEL_ROWS

    def _among(self, cells: tuple[Cell, ...]) -> Counts:
        """The counts of those of `cells` that are here, all of `cells` being there."""
        if cells == self.cells:
            return self
        places = {cell: k for k, cell in enumerate(cells)}
        to = np.array([places.get(cell, -1) for cell in self.cells], np.int64)
        images, pixels = (
            _relabelled(tally, to, length * rows)
            for tally, length, rows in map(self._holding, (IMAGES, NEGATIVE))
        )
        return Counts(cells, images, pixels, self.binning)


def span(bins: Bins) -> int:
    """The places from one row of pixel bins to the next: whole stretches."""
    return -(-len(bins) // STRETCH) * STRETCH


def _relabelled(tally: Tally, to: np.ndarray, span: int) -> Tally:
    """The cells of a tally, `span` stretches each, moved to where `to` says; -1 is left out."""
    cell, rest = divided(tally.stretches, span)
    moved = Tally(to[cell] * span + rest, tally.values)
    return moved if (to >= 0).all() else moved.only(moved.stretches >= 0)


def _end_to_end(rows: Sequence[Line], length: int, width: int) -> Tally:
    """Rows of `length` places, one behind the other."""
    if not rows:
        return Tally.empty(width)
    places = np.concatenate([k * length + row.bins for k, row in enumerate(rows)])
    values = np.concatenate([row.values.T for row in rows])
    return Tally.of(places, values, width)


def _rows(image: Scored, binning: Binning) -> list[Line]:
    """The five rows of one image."""
    score = image.image_score
    if isinstance(binning.images, IntegerBins) and score not in binning.images:
        raise MismatchError(
            f"{image.name}: an image score of {score} has no bin among the integers of "
            f"its {image.map.dtype} map: give the score in the map's own units"
        )
    pixels, bins = image.pixels(), binning.pixels
    return [
        Line(*binning.images.count(np.array([score]))),
        Line(*bins.count(pixels.negative)),
        Line(*bins.count(pixels.positive)),
        _covered(bins, binning.unit, pixels.regions),
        _covered(bins, binning.unit, [(scores, len(scores)) for scores, _ in pixels.regions]),
    ]


def _covered(bins: Bins, unit: int, regions: Sequence[tuple[np.ndarray, int]]) -> Line:
    """By how much the coverage of regions rises in each bin, in parts of `unit`."""
    total = Tally.empty(1)
    for scores, saturation in regions:
        found, counts = bins.count(scores)
        reached = counts[::-1].cumsum()[::-1] / saturation  # at each bin or above
        whole = np.rint(unit * np.minimum(reached, 1)).astype(np.int64)
        total += Tally.of(found, whole - np.append(whole[1:], 0), 1)
    return total.line()
