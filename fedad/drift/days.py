"""Pictures -> days: of each stream the trimmed mean of a day's pictures.

A day is what charts count in, not a picture: lots, shifts and weather move all pictures of a day
together, and a chart of single pictures would take that for drift. A tenth of a day's pictures on
either side is left out of its mean, so that a few defects move nothing. Days of fewer than `LEAST`
pictures are joined with the next.
"""

from __future__ import annotations

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


def by_day(seen: Iterable[tuple[date, np.ndarray]]) -> Days:
    """The days of one stream, of pictures' values (n,); those that are NaN are left out."""
    found = defaultdict(list)
    for day, values in seen:
        found[day].append(values[~np.isnan(values)])
    days, means, parts, some = list[date](), list[float](), list[int](), np.zeros(0)
    for day in sorted(found):
        some = np.concatenate([some, *found[day]])
        if len(some) >= LEAST:
            days.append(day)
            means.append(float(trimmed_means(some)))
            parts.append(len(some))
            some = np.zeros(0)
    return Days(tuple(days), np.array(means), np.array(parts, np.int64))


def trimmed_means(values: np.ndarray) -> np.ndarray:
    """(...,): of values (..., n) the mean of those that `TRIMMED` leaves on either side."""
    out = int(TRIMMED * values.shape[-1])
    ordered = np.sort(values, axis=-1)
    found: np.ndarray = ordered[..., out : values.shape[-1] - out].mean(axis=-1)
    return found
