"""How many days a chart runs until it alarms, and the limits of a run length that is asked for.

For independent standard normal days, by the integral equations of Page (1954) and Crowder (1987),
solved on Gauss-Legendre nodes; of a shift, by playing it through, estimated reference and all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from fedad.drift.charts import ALLOWANCE, WEIGHT, Limits, beyond, first
from fedad.drift.self_started import self_started

NODES = 64
PLAYED = 400  # days after a change that is played through
LONGEST = 1e9  # days that a run length may be asked to be
GROWS = 1.2  # from one limit to the next that is tried
KINDS = 2  # of charts that each stream has


class Delay(NamedTuple):
    """Days from when something moved to the alarm: on average, and in 95 of 100 cases at most."""

    mean: float
    most: float


def cusum_run_length(limit: float, shift: float = 0.0) -> float:
    """Days on average until one of the two sums is above a limit, of days whose mean is `shift`."""
    up, down = (_one_sided(limit, towards) for towards in (shift, -shift))
    return 1 / (1 / up + 1 / down)


def ewma_run_length(limit: float, shift: float = 0.0) -> float:
    """Days on average until the weighted mean is beyond a limit, of days whose mean is `shift`."""
    at, weights = _nodes(-limit, limit)
    from_ = np.append(at, 0.0)  # the last is where a chart starts
    step = (at - (1 - WEIGHT) * from_[:, None]) / WEIGHT - shift
    kernel = weights * _density(step) / WEIGHT
    inner = np.linalg.solve(np.eye(NODES) - kernel[:-1], np.ones(NODES))
    return float(1 + kernel[-1] @ inner)


@lru_cache(maxsize=64)
def limits_for(quiet_days: float, streams: int) -> Limits:
    """The limits at which a site with so many streams has a false alarm every `quiet_days` days, on
    average and at most: each chart of each stream alarms as many times more seldom as there are.

    Raises:
        ValueError: a run length below 1, or of no length that can be computed.
    """
    each = quiet_days * KINDS * max(1, streams)
    if not 1 < each <= LONGEST:
        raise ValueError(f"{quiet_days:g} quiet days of {streams} streams")
    return Limits(_limit(ewma_run_length, each, 0.3), _limit(cusum_run_length, each, 1.0))


@lru_cache(maxsize=64)
def delay(limits: Limits, shift: float, reference: int, seed: int = 0, runs: int = 1000) -> Delay:
    """How long a shift by so many standard deviations of days takes to be seen.

    Args:
        reference: days before it.
    """
    return _played(limits, np.full(PLAYED, shift), reference, seed, runs)


@lru_cache(maxsize=64)
def ramp_delay(
    limits: Limits, slope: float, reference: int, seed: int = 0, runs: int = 1000
) -> Delay:
    """How long what grows by so many standard deviations of days each day takes to be seen, from
    its first day on.

    Args:
        reference: days before it. Those since count as reference as well, as on a line: what grows
            slowly enough moves the level that it is held against.
    """
    return _played(limits, slope * np.arange(1.0, PLAYED + 1), reference, seed, runs)


def _played(limits: Limits, course: np.ndarray, reference: int, seed: int, runs: int) -> Delay:
    """What a change does that moves days' means by `course`; of lines that it never alarms on,
    `PLAYED` + 1 days."""
    means = np.random.default_rng(seed).standard_normal((runs, reference + len(course)))
    means[:, reference:] += course
    alarms = beyond(self_started(means), limits)
    alarms[:, :reference] = False
    found = first(alarms) - reference + 1
    return Delay(float(found.mean()), float(np.quantile(found, 0.95, method="higher")))


def _one_sided(limit: float, shift: float) -> float:
    at, weights = _nodes(0.0, limit)
    from_ = np.append(at, 0.0)
    moved = from_[:, None] + shift - ALLOWANCE
    kernel = weights * _density(at - moved)
    inside = np.column_stack([kernel, ndtr(-moved[:, 0])])  # the last: back to 0
    found = np.linalg.solve(np.eye(NODES + 1) - inside, np.ones(NODES + 1))
    return float(found[-1])


def _limit(run_length: Callable[[float], float], wanted: float, low: float) -> float:
    """The limit of a run length, which grows by its logarithm; looked for from `low` upwards."""
    high = low
    while run_length(high) < wanted:
        low, high = high, GROWS * high

    def off(limit: float) -> float:
        return float(np.log(run_length(limit)) - np.log(wanted))

    return high if low == high else float(brentq(off, low, high, xtol=1e-6))


def _nodes(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    at, weights = np.polynomial.legendre.leggauss(NODES)
    half = (high - low) / 2
    return low + half * (at + 1), half * weights


def _density(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return found
