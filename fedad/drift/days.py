"""Pictures -> days: of each stream the trimmed mean of a day's pictures.

A day is what charts count in, not a picture: lots, shifts and weather move all pictures of a day
together, and a chart of single pictures would take that for drift. A tenth of a day's pictures on
either side is left out of its mean, so that a few defects move nothing. Days of fewer than `LEAST`
pictures are joined with the next.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

LEAST = 5  # pictures of a day
TRIMMED = 0.1  # of a day's pictures, on either side


@dataclass(frozen=True, eq=False)
class Days:
    """T days with pictures, in order: each one's mean and how many pictures it is of."""

    days: tuple[date, ...]
    means: np.ndarray  # (T,) float64
    parts: np.ndarray  # (T,) int64


def by_day(seen: Iterable[tuple[date, float]]) -> Days:
    """The days of one stream; values that are NaN are left out."""
    found = defaultdict(list)
    for day, value in seen:
        if not math.isnan(value):
            found[day].append(value)
    days, means, parts, some = list[date](), list[float](), list[int](), list[float]()
    for day in sorted(found):
        some += found[day]
        if len(some) >= LEAST:
            days.append(day)
            means.append(float(trimmed_means(np.array(some))))
            parts.append(len(some))
            some = []
    return Days(tuple(days), np.array(means), np.array(parts, np.int64))


def trimmed_means(values: np.ndarray) -> np.ndarray:
    """(...,): of values (..., n) the mean of those that `TRIMMED` leaves on either side."""
    out = int(TRIMMED * values.shape[-1])
    ordered = np.sort(values, axis=-1)
    found: np.ndarray = ordered[..., out : values.shape[-1] - out].mean(axis=-1)
    return found
