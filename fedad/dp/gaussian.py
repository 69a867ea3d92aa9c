"""The exact privacy curve of Gaussian mechanisms, which needs nothing but scipy.

Of sensitivity 1 and noise z a Gaussian mechanism is mu-GDP with mu = 1 / z, any number of them
together with mu^2 = sum of 1 / z^2, adaptive ones too, and mu-GDP is (epsilon, delta)-DP for

    delta = Phi(mu / 2 - epsilon / mu) - exp(epsilon) Phi(-mu / 2 - epsilon / mu)

and no smaller one (Balle and Wang, ICML 2018; Dong, Roth and Su, JRSS B 2022).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri

LEAST_MU, MOST_MU = 1e-12, 1e6
EXACT = 1e-12  # to which what is searched for is found, of its size


def delta_of(epsilon: float, mu: float) -> float:
    """The least delta at which mu-GDP is (epsilon, delta)-DP; 0 where mu is 0.

    >>> f"{delta_of(1, 1 / 3.7306):.1e}"
    '1.0e-05'
    """
    if mu == 0:
        return 0.0
    near = math.exp(log_ndtr(mu / 2 - epsilon / mu))
    return max(0.0, near - math.exp(min(epsilon + log_ndtr(-mu / 2 - epsilon / mu), 0.0)))


def epsilon_of(mu: float, delta: float) -> float:
    """The least epsilon at which mu-GDP is (epsilon, delta)-DP.

    >>> round(epsilon_of(1 / 0.4999, 1e-5), 2)
    10.0
    """
    if mu == math.inf:
        return math.inf
    if delta_of(0.0, mu) <= delta:
        return 0.0
    most = mu * mu / 2 - mu * float(ndtri(delta))  # where the first term alone is delta
    return float(brentq(lambda e: delta_of(e, mu) - delta, 0.0, most, xtol=EXACT, rtol=EXACT))


def multiplier(epsilon: float, delta: float) -> float:
    """The least noise, over the sensitivity, with which one Gaussian mechanism is (epsilon,
    delta)-DP.

    Raises:
        ValueError: an epsilon that is not above 0, or a delta that is not between 0 and 1.

    >>> [round(multiplier(epsilon, 1e-5), 4) for epsilon in (1, 2, 5, 10)]
    [3.7306, 1.9938, 0.8919, 0.4999]
    """
    if not (0 < epsilon < math.inf and 0 < delta < 1):
        raise ValueError(
            f"epsilon = {epsilon:g}, delta = {delta:g}: expected above 0, and between 0 and 1"
        )
    log_mu = brentq(
        lambda log: delta_of(epsilon, math.exp(log)) - delta,
        math.log(LEAST_MU),
        math.log(MOST_MU),
        xtol=EXACT,
    )
    return math.exp(-float(log_mu)) * (1 + 2 * EXACT)  # never less than it has to be


def together(noises: Iterable[float]) -> float:
    """mu of Gaussian mechanisms with these noises over their sensitivities; infinite if one has
    none."""
    noises = tuple(noises)
    return math.inf if 0 in noises else math.sqrt(math.fsum(1 / noise**2 for noise in noises))
