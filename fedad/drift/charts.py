"""Two charts of standardised days: an exponentially weighted mean, and sums of what is too much.

    EWMA:   e_t = (1 - w) e_{t-1} + w q_t                       (Roberts, 1959)
    CUSUM:  up_t = max(0, up_{t-1} + q_t - k), and `down` alike  (Page, 1954)

The first sees a step within days, the second what is small and lasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WEIGHT = 0.2  # w: about nine days count
ALLOWANCE = 0.5  # k: half of the shift, in standard deviations of days, that it is quickest for
EWMA, CUSUM = "EWMA", "CUSUM"


@dataclass(frozen=True)
class Limits:
    """Beyond which the charts alarm, in standard deviations of days."""

    ewma: float
    cusum: float


def ewma(q: np.ndarray) -> np.ndarray:
    """(..., T): the weighted mean up to each day."""
    found, now = np.empty(q.shape), np.zeros(q.shape[:-1])
    for day in range(q.shape[-1]):
        now = (1 - WEIGHT) * now + WEIGHT * q[..., day]
        found[..., day] = now
    return found


def cusum(q: np.ndarray) -> np.ndarray:
    """(..., T): the sum of what is above the allowance, up to each day; of -q, of what is below."""
    found, now = np.empty(q.shape), np.zeros(q.shape[:-1])
    for day in range(q.shape[-1]):
        now = np.maximum(0, now + q[..., day] - ALLOWANCE)
        found[..., day] = now
    return found


def beyond(q: np.ndarray, limits: Limits) -> np.ndarray:
    """(..., T) bool: days on which either chart is beyond its limit."""
    sums = np.maximum(cusum(q), cusum(-q))
    found: np.ndarray = (np.abs(ewma(q)) > limits.ewma) | (sums > limits.cusum)
    return found


def first(days: np.ndarray) -> np.ndarray:
    """(...,) int: the number of the first day (..., T) bool that is True; T where none is."""
    found: np.ndarray = np.where(days.any(axis=-1), days.argmax(axis=-1), days.shape[-1])
    return found


def start_of(q: np.ndarray, day: int, earliest: int) -> int:
    """The day from which on days up to `day` are most surely off: the most likely beginning of a
    step in standard normal days."""
    sums = np.cumsum(q[earliest : day + 1][::-1])
    surest = np.abs(sums) / np.sqrt(np.arange(1, len(sums) + 1))
    return day - int(surest.argmax())
