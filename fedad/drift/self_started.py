"""Each day in standard deviations from the days before it: a reference that is estimated.

Nobody knows the level at which a line runs, nor by how much its days differ; both come from as few
days as there have been. A chart that takes them for known alarms far too often. Here day t is held
against the mean and the spread of days 1 to t - 1 by Student's t:

    T = (x_t - mean) / spread * sqrt((t - 1) / t),    q_t = normal quantile of F_{t-2}(T)

While nothing drifts, and days are independent and normal, all q are independent standard normal,
after however few days (Hawkins, The Statistician 36, 1987; Quesenberry, J. Quality Technology 23,
1991). So limits that hold for known references hold here. That thresholds and p-values rest on a
few good parts moves a line's level once, and that level is among what is estimated.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtr

FIRST = 8  # days that a chart begins after: before, it is exact as well, and sees hardly anything
# A day's, at most. Of quiet days 6 in 100,000 are beyond it, so that limits hold; where parts are
# seldom and very odd, means have longer tails than the normal law. One day alone alarms nothing.
MOST = 4.0


def self_started(means: np.ndarray) -> np.ndarray:
    """(..., T): q of each of T days' means (..., T); 0 of the first `FIRST`."""
    count = means.shape[-1]
    if count <= FIRST:
        return np.zeros(means.shape)
    before = np.arange(FIRST, count)  # days before each that counts
    moved = means - means[..., :1]
    sums, squares = (np.cumsum(moved**power, axis=-1)[..., before - 1] for power in (1, 2))
    mean = sums / before
    spread = np.sqrt(np.maximum(squares - before * mean**2, 0) / (before - 1))
    found = np.zeros(means.shape)
    found[..., before] = _quantile(moved[..., before] - mean, spread, before)
    return found


def against(means: np.ndarray, start: int) -> np.ndarray:
    """(T - start,): q of the days from `start` on, each against those before `start` alone.

    What has alarmed is no reference for what follows.
    """
    reference = means[:start]
    counts = np.full(len(means) - start, start)
    spread = np.full(len(counts), reference.std(ddof=1))
    return _quantile(means[start:] - reference.mean(), spread, counts)


def _quantile(off: np.ndarray, spread: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Standard normal deviates as unusual as `off` is, in spreads of `before` days."""
    tiny = np.finfo(float).tiny
    odd = np.abs(off) / np.maximum(spread, tiny) * np.sqrt(before / (before + 1))
    size = -ndtri(np.maximum(stdtr(before - 1, -np.minimum(odd, 1e6)), tiny))
    return np.copysign(np.minimum(size, MOST), off)
