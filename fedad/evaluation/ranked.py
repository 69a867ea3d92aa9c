"""What a metric sees: the four curves of a set of test images, here read from their counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedad.evaluation.binning import Binning
from fedad.evaluation.counts import COVERED, IMAGES, NEGATIVE, POSITIVE, PRO, Counts
from fedad.evaluation.curve import Curve, Steps
from fedad.evaluation.scored import Cell


class Ranked(NamedTuple):
    """Four curves; what is found, and among which negatives."""

    images: Curve  # defective images, among the good ones
    pixels: Curve  # pixels in a region, among those in none
    covered: Curve  # saturated coverage (sPRO) of the regions, among pixels in none
    pro: Curve  # plain coverage (PRO) of the regions, among pixels in none


def rank_counts(counts: Counts) -> Ranked:
    """The curves that counts, or each replicate of resampled counts, draw."""
    good, bad = (counts.only(side).row(IMAGES) for side in (Cell.is_good, Cell.is_bad))
    negative = counts.row(NEGATIVE)
    return Ranked(
        images=_curve(counts.binning, good, bad),
        pixels=_curve(counts.binning, negative, counts.row(POSITIVE)),
        covered=_curve(counts.binning, negative, counts.row(COVERED), mass=True),
        pro=_curve(counts.binning, negative, counts.row(PRO), mass=True),
    )


def _curve(
    binning: Binning | None, negative: np.ndarray, gain: np.ndarray, *, mass: bool = False
) -> Curve:
    """The curve of `negative` and `gain` (..., bins), lowest bin first. Gains of `mass` came
    rounded to whole parts of the binning's unit."""
    negative, gain = np.broadcast_arrays(negative[..., ::-1], gain[..., ::-1])
    used = np.flatnonzero(gain.reshape(-1, gain.shape[-1]).any(axis=0))
    after = negative.cumsum(axis=-1)
    steps = Steps(after[..., used] - negative[..., used], after[..., used], gain[..., used])
    return Curve(
        negatives=after[..., -1],
        total=gain.sum(axis=-1),
        steps=lambda: (steps,) if used.size else (),
        binned=binning is not None and not binning.lossless,
        rounding=0.5 / binning.unit if mass and binning else 0.0,
    )
