"""Counts in narrow bins, brought to wide ones: what resampled counts of the same images hold."""

from __future__ import annotations

import numpy as np

from fedad.evaluation.bins import FloatBins, is_new
from fedad.evaluation.counts import NEGATIVE, POSITIVE, PRO, Counts, span
from fedad.evaluation.tally import Tally, divided


def disagreement(counts: Counts, replicates: Counts) -> str:
    """How replicate 0 differs from `counts`, whose images it is of; "" where it does not.

    Args:
        counts: in float bins.
        replicates: of the same cells, in float bins of fewer bits.

    Images and pixels are the same, in wider bins. Coverage is rounded anew in these, and only
    occurs where there was some.
    """
    bins, wide = counts.binning, replicates.binning
    if bins is None or wide is None:
        return "" if bins is wide else "one of both is of nothing"
    of_images = _coarse(counts.images, bins.images, wide.images, len(bins.images), len(wide.images))
    if not _equal(of_images, replicates.images):
        return "other image scores"
    pixels = _coarse(counts.pixels, bins.pixels, wide.pixels, span(bins.pixels), span(wide.pixels))
    exact = NEGATIVE, POSITIVE
    if not _equal(
        *(_rows(tally, span(wide.pixels), exact) for tally in (pixels, replicates.pixels))
    ):
        return "other pixel scores"
    if not np.isin(replicates.pixels.stretches, pixels.stretches, assume_unique=True).all():
        return "regions found where none was"
    return ""


def _coarse(tally: Tally, bins: object, wide: object, length: int, wide_length: int) -> Tally:
    """A tally of rows of `length` places as one of places alone, in wider bins."""
    if not isinstance(bins, FloatBins) or not isinstance(wide, FloatBins):
        raise TypeError("only float bins are leading bits of each other")
    line = tally.line()
    row, place = divided(line.bins, length)
    places = row * wide_length + (place >> (bins.mantissa - wide.mantissa))
    new = is_new(places)
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(line.values, starts) if starts.size else line.values
    return Tally(places[new], sums[:, None])


def _rows(tally: Tally, length: int, numbers: tuple[int, ...]) -> Tally:
    """What a tally of pixel rows has of some rows of each cell."""
    row = tally.stretches // length % PRO + 1
    return tally.only(np.isin(row, numbers))


def _equal(counted: Tally, resampled: Tally) -> bool:
    """Whether the first of the replicates has the same numbers at the same places, and the others
    have some at no other place."""
    drawn = resampled.values[:, 0]
    first = drawn[:, 0] if drawn.ndim == 2 else drawn
    return np.array_equal(counted.stretches, resampled.stretches) and np.array_equal(
        counted.values[:, 0], first
    )
