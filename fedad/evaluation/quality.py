"""Thresholds and rates in the language of a quality department.

A *false reject* is a good part that is stopped, an *escape* a defective one that passes. A part is
stopped if its image scores above the threshold, and the threshold comes from good images alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

from fedad.errors import ConfigError, DataError
from fedad.evaluation.scored import Scored

ROUNDING = 1e-9  # of shares: 0.29 * 100 means 29, not 28.999999999999996


def threshold(good: np.ndarray, rate: float, parts: Sequence[Hashable] | None = None) -> float:
    """The score above which at most a share `rate` of new good parts falls.

    Args:
        good: (n,) scores of good images that the bank was not made from: held out, or scored
            without their own rows.
        rate: the wished false-reject rate, 0 to 1.
        parts: (n,) of which part each image is; images of a part are alike, and count as much
            as one image together. Without it each image is of a part of its own.

    The promise is for k parts as few as they are (split conformal prediction; with several images
    a part the hierarchical one of Lee, Barber and Willett, 2023): whatever the scores'
    distribution, an image of the next good part of the same kind scores above it with a chance of
    at most `rate`, on average over such sets of `good`.

    Raises:
        ConfigError: a rate that is none, or that k parts cannot support: below 1 / (k + 1).
        DataError: a score that is not finite.
    """
    scores = np.asarray(good, dtype=float).ravel()
    of_part = range(len(scores)) if parts is None else parts
    sizes = Counter(of_part)
    if not 0 < rate < 1:
        raise ConfigError(f"a false-reject rate of {rate}: expected a share between 0 and 1")
    if not np.isfinite(scores).all():
        raise DataError("a good image's score is not finite, so no threshold follows from it")
    if rate < least_rate(len(sizes)) - ROUNDING:
        of = "images" if parts is None else "parts"
        raise ConfigError(
            f"a false-reject rate of {rate} takes at least {parts_for(rate)} good {of} "
            f"that the bank was not made from, there are {len(sizes)}: hold out more "
            "(data.holdout), or ask for a higher rate"
        )
    order = np.argsort(-scores, kind="stable")
    weights = np.array([1 / sizes[part] for part in of_part])[order]
    above = np.cumsum(weights) - weights  # parts' worth of images that score higher, ties apart
    allowed = rate * (len(sizes) + 1) - 1  # the next part is one of those that may lie above
    return float(scores[order[np.flatnonzero(above <= allowed + ROUNDING)[-1]]])


def least_rate(parts: int) -> float:
    """The smallest false-reject rate that so many good parts can promise."""
    return 1 / (parts + 1)


def parts_for(rate: float) -> int:
    """How many good parts it takes to promise a false-reject rate."""
    return math.ceil(1 / rate - ROUNDING) - 1


class Rate(NamedTuple):
    """`cases` of `of` parts, as a share with its Clopper-Pearson interval; NaN of no parts."""

    cases: int
    of: int
    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, cases: int, of: int, confidence: float = 0.95) -> Rate:
        """The interval covers the true rate in at least `confidence` of all cases."""
        tail = (1 - confidence) / 2
        low = betaincinv(cases, of - cases + 1, tail) if cases else 0.0
        high = betaincinv(cases + 1, of - cases, 1 - tail) if cases < of else 1.0
        return cls(cases, of, cases / of if of else math.nan, float(low), float(high))


@dataclass(frozen=True)
class Decisions:
    """How many parts a threshold stopped; they add over images, categories and sites."""

    good: int = 0
    rejected: int = 0  # of the good
    defective: int = 0
    escaped: int = 0  # of the defective

    def __post_init__(self) -> None:
        if not (0 <= self.rejected <= self.good and 0 <= self.escaped <= self.defective):
            raise ValueError(f"decisions on more parts than there are, or on fewer than 0: {self}")

    def __add__(self, other: Decisions) -> Decisions:
        return Decisions(
            self.good + other.good,
            self.rejected + other.rejected,
            self.defective + other.defective,
            self.escaped + other.escaped,
        )

    def false_rejects(self, confidence: float = 0.95) -> Rate:
        """The share of good parts that are stopped."""
        return Rate.exact(self.rejected, self.good, confidence)

    def escapes(self, confidence: float = 0.95) -> Rate:
        """The share of defective parts that pass."""
        return Rate.exact(self.escaped, self.defective, confidence)


def decide(images: Iterable[Scored], thresholds: Mapping[str, float]) -> dict[str, Decisions]:
    """What the threshold of each category stopped of `images`, by category."""
    found: dict[str, Decisions] = {}
    for image in images:
        good, category = image.cell.is_good(), image.category
        stopped = int(image.image_score > thresholds[category])
        one = Decisions(1, stopped, 0, 0) if good else Decisions(0, 0, 1, 1 - stopped)
        found[category] = found.get(category, Decisions()) + one
    return found
