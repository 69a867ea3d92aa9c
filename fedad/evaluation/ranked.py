"""What a metric sees: the four curves of a set of test images, here read from their counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedad.evaluation.counts import COVERED, IMAGES, NEGATIVE, POSITIVE, PRO, Counts, Wanted, every
from fedad.evaluation.curve import Curve, Steps
from fedad.evaluation.tally import Line


class Ranked(NamedTuple):
    """Four curves; what is found, and among which negatives."""

    images: Curve  # defective images, among the good ones
    pixels: Curve  # pixels in a region, among those in none
    covered: Curve  # saturated coverage (sPRO) of the regions, among pixels in none
    pro: Curve  # plain coverage (PRO) of the regions, among pixels in none


def rank_counts(counts: Counts, wanted: Wanted = every) -> Ranked:
    """The curves that the wanted cells of counts, or of each replicate of them, draw."""
    binning = counts.binning
    good = counts.row(IMAGES, lambda cell: wanted(cell) and cell.is_good())
    bad = counts.row(IMAGES, lambda cell: wanted(cell) and cell.is_bad())
    negative = counts.row(NEGATIVE, wanted)
    binned = not (binning and binning.pixels.lossless)
    rounding = 0.5 / binning.unit if binning else 0.0  # gains of coverage came as whole parts
    return Ranked(
        images=_curve(good, bad, binned=not (binning and binning.images.lossless)),
        pixels=_curve(negative, counts.row(POSITIVE, wanted), binned=binned),
        covered=_curve(negative, counts.row(COVERED, wanted), binned=binned, rounding=rounding),
        pro=_curve(negative, counts.row(PRO, wanted), binned=binned, rounding=rounding),
    )


def _curve(negative: Line, gain: Line, *, binned: bool, rounding: float = 0.0) -> Curve:
    """The curve of what is found in each bin, highest first, among the negatives."""
    passed = negative.values.T  # replicates last, as they are held
    below = np.zeros((len(passed) + 1, *passed.shape[1:]), np.int64)
    passed.cumsum(axis=0, out=below[1:])
    bins = gain.bins[::-1]
    before, after = (
        (below[-1] - below[negative.bins.searchsorted(bins, side)]).T for side in ("right", "left")
    )
    steps = Steps(before, after, gain.values[..., ::-1])
    return Curve(
        negatives=below[-1],
        total=gain.values.sum(axis=-1),
        steps=lambda: (steps,) if bins.size else (),
        binned=binned,
        rounding=rounding,
    )
