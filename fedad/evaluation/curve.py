"""A curve that climbs while the threshold falls, and the areas and precisions read off it.

Every figure reads such a curve, whether it comes from all scores (`exact.py`) or from counts
(`ranked.py`). Arrays may carry replicates in front, (..., K): a figure is then (...,).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SUMS = 2.0**-40  # how far the rounding of sums of float64 may move a figure


class Bounded(NamedTuple):
    """A figure (...,), and how far the scores behind the counts could move it at most."""

    value: np.ndarray
    bound: np.ndarray


class Steps(NamedTuple):
    """Some levels of a curve, highest score first; all scores of a level are one threshold."""

    before: np.ndarray  # (..., K) negatives that score higher than the level
    after: np.ndarray  # (..., K) negatives that score as high or higher
    gain: np.ndarray  # (..., K) what is found at the level


@dataclass(frozen=True, eq=False)
class Curve:
    """What is found (up to `total`) against the negatives passed (up to `negatives`).

    `steps` starts again at each call. A level need not hold negatives, and negatives between two
    levels need none. `binned` says that scores of a level may differ; `rounding` is how far y,
    as a share of `total`, may be off.
    """

    negatives: np.ndarray  # (...,)
    total: np.ndarray  # (...,)
    steps: Callable[[], Iterable[Steps]]
    binned: bool = False
    rounding: float = 0.0


def areas(curve: Curve, limits: Sequence[float]) -> list[Bounded]:
    """The share of [0, limit] x [0, 1] that lies below the curve, for each limit.

    A gain lifts the curve from the x where it is made, so that its part of the area is its size
    times what is left of [0, limit]. Between the ends of a level the curve is a straight line
    (Mann-Whitney's half for ties); were the negatives of a bin all above or all below its gains,
    it would be one corner or the other of their rectangle, hence the bound.
    """
    sums = np.zeros((len(limits), 4, *np.shape(curve.negatives)))
    for steps in curve.steps():
        floats = Steps(*(np.asarray(part, float) for part in steps))
        wide = 2 * np.maximum(floats.after - floats.before, 1)
        for k, limit in enumerate(limits):
            stop = np.multiply(limit, curve.negatives)[..., None]
            sums[k] += _lifted(floats, wide, stop, curve.binned)
    return [
        bounded(curve, *(ratio(part, below + above) for part in (below, least, most)))
        for below, above, least, most in sums
    ]


def _lifted(steps: Steps, wide: np.ndarray, stop: np.ndarray, binned: bool) -> np.ndarray:
    """(4, ...): the area of [0, stop] below the gains and above them; the least and most below.

    Below and above add up to the whole, so that all found at x = 0 gives 1 to the last bit. Levels
    are half of `wide` along x.
    """
    before, after, gain = steps
    most, least = np.maximum(stop - before, 0), np.maximum(stop - after, 0)
    cut = most * most / wide  # of a level that `stop` goes through
    left = np.where(least > 0, (least + most) / 2, cut)
    below, above = (gain * left).sum(axis=-1), (gain * (stop - left)).sum(axis=-1)
    corners = [(gain * part).sum(axis=-1) for part in (least, most)] if binned else [below] * 2
    return np.stack([below, above, *corners])


def average_precision(curve: Curve) -> Bounded:
    """The mean, over all that is found, of the precision at its level (no interpolation).

    In a bin the finds are taken to be spread evenly among the negatives, so that the middle one
    has passed half of these. At worst they come one by one behind all of them, where precision
    rises ever slower, so that its mean is above that of both ends; at best together before them.
    """
    sums, found = np.zeros((4, *np.shape(curve.negatives))), np.zeros(1)
    for before, after, gain in curve.steps():
        reached = found + gain.cumsum(axis=-1)
        first = reached - gain + 1
        middle = ((first + reached) / 2, (before + after) / 2) if curve.binned else (reached, after)
        ends = ((first, after), (reached, after), (reached, before)) if curve.binned else ()
        for k, (true, false) in enumerate((middle, *ends)):
            sums[k] += (gain * true / np.maximum(true + false, 1)).sum(axis=-1)
        found = reached[..., -1:]
    value, one, other, most = (ratio(part, rankable(curve)) for part in sums)
    return bounded(curve, value, (one + other) / 2, most)


def rankable(curve: Curve) -> np.ndarray:
    """(...,): what there is to find, and 0 where there is nothing to find it among."""
    return np.where(np.greater(curve.negatives, 0), curve.total, 0)


def bounded(curve: Curve, value: np.ndarray, least: np.ndarray, most: np.ndarray) -> Bounded:
    """`value`, and how far it is from what the bins allow."""
    if not curve.binned:
        return Bounded(value, value * 0 + curve.rounding)
    return Bounded(value, np.maximum(most - value, value - least) + curve.rounding + SUMS)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, and NaN where there is nothing to rank: 0.5 would read as a result."""
    return np.where(np.equal(whole, 0), np.nan, part / np.where(np.equal(whole, 0), 1, whole))
