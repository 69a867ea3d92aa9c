"""What can be measured of a private mechanism: bounds below on the epsilon that it really has.

A bound above the epsilon that is claimed refutes the claim. One below proves nothing: an audit
catches gross faults, such as noise that was forgotten, and not a noise of half the size. So noise
is also looked at directly (`normality`).

A mechanism is any function here that returns a statistic: how much an output speaks for a canary
having been there, by somebody who knows all but that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
QUANTILES = 99  # thresholds that are tried
LARGEST = 64.0  # epsilon up to which a bound is looked for


class Estimate(NamedTuple):
    """mu of Gaussian privacy as it looks, and a bound below it."""

    mu: float
    lower: float


class Normality(NamedTuple):
    """What draws of noise look like beside the standard deviation that they should have."""

    variance: float  # over the claimed one
    kurtosis: float  # of a normal distribution 0
    p_value: float  # Kolmogorov and Smirnov's: of draws that far from normal, if they are normal


def many_runs(
    mechanism: Callable[[bool], float], runs: int, *, delta: float, confidence: float = CONFIDENCE
) -> float:
    """A bound below on epsilon from `runs` runs with the canary and as many without.

    Args:
        mechanism: given whether the canary is in, runs and returns the statistic.
    """
    inside, outside = (np.array([mechanism(k) for _ in range(runs)]) for k in (True, False))
    return lower_bound(inside, outside, delta=delta, confidence=confidence)


def lower_bound(
    inside: np.ndarray, outside: np.ndarray, *, delta: float, confidence: float = CONFIDENCE
) -> float:
    """A bound below on epsilon from statistics (n,) with a canary and (m,) without.

    Half of each chooses the threshold and the direction, the other half bounds the two error rates
    (Clopper and Pearson, 1934), each at half of the risk: the choice costs nothing then.
    """
    choosing, judging = (
        (one[k::2], other[k::2]) for k in (0, 1) for one, other in [(inside, outside)]
    )
    best = max(
        ((at, up) for at in _thresholds(*choosing) for up in (True, False)),
        key=lambda cut: _ratio(*_rates(*choosing, *cut), delta),
    )
    hits, falls = _counts(*judging, *best)
    hit = _at_least(hits, len(judging[0] if best[1] else judging[1]), confidence)
    fall = 1 - _at_least(*_others(falls, judging, up=best[1]), confidence)
    return max(0.0, _ratio(hit, fall, delta))


def gaussian_mu(
    inside: np.ndarray, outside: np.ndarray, *, confidence: float = CONFIDENCE
) -> Estimate:
    """mu of Gaussian privacy from statistics that are normal, with equal variances.

    The bound is that of Student's t, whose noncentral distribution the scaled distance has.
    """
    n, m = len(inside), len(outside)
    free = n + m - 2
    pooled = ((n - 1) * inside.var(ddof=1) + (m - 1) * outside.var(ddof=1)) / free
    if pooled == 0:  # there is no noise at all
        apart = math.inf if inside.mean() > outside.mean() else 0.0
        return Estimate(apart, apart)
    distance = float((inside.mean() - outside.mean()) / math.sqrt(pooled))
    scale = math.sqrt(n * m / (n + m))
    t = distance * scale
    if stats.t.sf(t, free) > 1 - confidence:
        return Estimate(distance, 0.0)
    low, high = 0.0, abs(t) + 1
    for _ in range(60):  # the least mu of which so large a t is not unlikely
        middle = (low + high) / 2
        if stats.nct.sf(t, free, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return Estimate(distance, low / scale)


def one_run(
    inside: np.ndarray,
    scores: np.ndarray,
    guesses: int,
    *,
    delta: float,
    confidence: float = CONFIDENCE,
) -> float:
    """A bound below on epsilon from one run with m canaries, each in it by a fair coin.

    `guesses` are made, for the canaries with the highest and the lowest scores alike; of the others
    nothing is said (Steinke, Nasr and Jagielski, NeurIPS 2023, theorem 5.2).

    Args:
        inside: (m,) bool, the coins.
        scores: (m,), higher where a canary looks to be in.
    """
    order, each = np.argsort(-scores, kind="stable"), guesses // 2
    right = int(inside[order[:each]].sum() + (~inside[order[len(order) - each :]]).sum())
    return guessing_bound(len(inside), 2 * each, right, delta=delta, confidence=confidence)


def guessing_bound(
    canaries: int, guesses: int, right: int, *, delta: float, confidence: float = CONFIDENCE
) -> float:
    """The largest epsilon under which so many right guesses have a chance of at most 1 -
    `confidence`, up to `LARGEST`.

    Without delta that is the binomial tail of guesses that are right with e^eps / (1 + e^eps). With
    it the chance grows by 2 m delta times the largest mean of the tail over the i numbers below.
    """
    low, high = 0.0, LARGEST
    if _chance(canaries, guesses, right, low, delta) > 1 - confidence:
        return 0.0
    for _ in range(50):
        middle = (low + high) / 2
        if _chance(canaries, guesses, right, middle, delta) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def _chance(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """The largest chance of `right` or more right guesses that (epsilon, delta)-DP leaves."""
    of_one = 1 / (1 + math.exp(-epsilon))
    tail = float(stats.binom.sf(right - 1, guesses, of_one))
    if right == 0 or delta == 0:
        return min(1.0, tail)
    below = stats.binom.pmf(np.arange(right - 1, -1, -1), guesses, of_one).cumsum()
    mean = below / np.arange(1, right + 1)
    return min(1.0, tail + 2 * canaries * delta * float(mean.max()))


def normality(draws: np.ndarray, sigma: float) -> Normality:
    """How `draws` (N,) differ from normal ones of standard deviation `sigma` and mean 0."""
    return Normality(
        float(np.mean(draws * draws) / sigma**2),
        float(stats.kurtosis(draws)),
        float(stats.kstest(draws / sigma, "norm").pvalue),
    )


def _thresholds(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    both = np.concatenate([inside, outside])
    return np.unique(np.quantile(both, np.linspace(0, 1, QUANTILES + 2)[1:-1]))


def _counts(inside: np.ndarray, outside: np.ndarray, at: float, up: bool) -> tuple[int, int]:
    """Hits and false alarms of the rule "above `at`, the canary was in"; or, where not `up`, of
    "below, it was out", which the other direction of the definition bounds."""
    first, second = (inside > at, outside > at) if up else (outside <= at, inside <= at)
    return int(first.sum()), int(second.sum())


def _rates(inside: np.ndarray, outside: np.ndarray, at: float, up: bool) -> tuple[float, float]:
    hits, falls = _counts(inside, outside, at, up)
    one, other = (inside, outside) if up else (outside, inside)
    return hits / len(one), (falls + 1) / (len(other) + 1)


def _ratio(hit: float, fall: float, delta: float) -> float:
    return math.log((hit - delta) / fall) if hit > delta else -math.inf


def _others(falls: int, judging: tuple[np.ndarray, np.ndarray], *, up: bool) -> tuple[int, int]:
    """How often there was no false alarm, of how many."""
    count = len(judging[1] if up else judging[0])
    return count - falls, count


def _at_least(count: int, of: int, confidence: float) -> float:
    """The bound below on a rate, at half of the risk."""
    return float(stats.beta.ppf((1 - confidence) / 2, count, of - count + 1)) if count else 0.0
