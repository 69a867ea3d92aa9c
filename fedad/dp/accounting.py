"""Receipts -> what they cost together, by three accountants that were written by different people.

All receipts of one product at one site are composed, whatever run they are of. The unit is what
the receipts name, added or removed; replacing one costs about twice as much. What was released
without protection, or with noise that somebody can draw again, costs infinite epsilon, and a
receipt that nobody here knows is refused, never counted as free.

Charged is the exact curve wherever all that was released is Gaussian sums over all units: the other
two only bound it, to a part in a thousand. Of steps over samples there is no exact curve, and the
larger of the other two is charged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fedad.dp.gaussian import epsilon_of, together
from fedad.dp.receipts import Gaussians, Receipt, ReceiptError, SampledGaussians, Unprotected
from fedad.errors import ConfigError

ANALYTIC, PLD, PRV = "analytic Gaussian", "PLD (dp_accounting)", "PRV (Opacus)"
Sampled = tuple[float, float, int]  # noise over sensitivity, rate of sampling, steps
FINENESS = 1e-3  # of epsilon: PRV's error, relative, which it adds


@dataclass(frozen=True)
class Spent:
    """What releases cost together, at `delta`.

    Args:
        epsilon: what is charged.
        accountant: whose figure that is.
        by_accountant: the figure of each that was asked and that applies.
    """

    epsilon: float
    delta: float
    accountant: str
    by_accountant: Mapping[str, float]


def charged(receipts: Iterable[Receipt], delta: float) -> Spent:
    """What `receipts` cost together, by those accountants alone whose figure may be charged.

    Raises:
        ReceiptError: an unknown receipt, or one with numbers that cannot be.
        ConfigError: it takes an accountant that is not installed.
    """
    steps = _steps(receipts)
    if steps is None:
        return _least_protected(delta)
    return _spent(steps, delta, (ANALYTIC,) if _is_gaussian(steps) else (PLD, PRV))


def epsilon(receipts: Iterable[Receipt], delta: float) -> Spent:
    """What `receipts` cost together, by every accountant that applies; see `charged`."""
    steps = _steps(receipts)
    if steps is None:
        return _least_protected(delta)
    every = (ANALYTIC, PLD, PRV) if _is_gaussian(steps) else (PLD, PRV)
    return _spent(steps, delta, every if steps else (ANALYTIC,))


def _spent(steps: Sequence[Sampled], delta: float, accountants: Sequence[str]) -> Spent:
    found = {name: _ACCOUNTANTS[name](steps, delta) for name in accountants}
    name = ANALYTIC if ANALYTIC in found else max(found, key=found.__getitem__)
    return Spent(found[name], delta, name, MappingProxyType(found))


def _least_protected(delta: float) -> Spent:
    return Spent(math.inf, delta, ANALYTIC, MappingProxyType({ANALYTIC: math.inf}))


def _steps(receipts: Iterable[Receipt]) -> list[Sampled] | None:
    """All mechanisms of all receipts, equal ones counted together; None if one protects nothing."""
    found: dict[tuple[float, float], int] = {}
    protected = True
    for receipt in receipts:
        match receipt:
            case Unprotected():
                protected = False
            case Gaussians(noise=noise, private=private):
                protected &= private
                for one in noise:
                    _add(found, receipt, one, 1.0, 1)
                if not noise:
                    raise ReceiptError(f"cannot account for {receipt!r}: it names no noise")
            case SampledGaussians(noise=one, rate=rate, steps=steps, private=private):
                protected &= private
                _add(found, receipt, one, rate, steps)
            case _:
                raise ReceiptError(
                    f"cannot account for {receipt!r}: expected Unprotected, Gaussians or "
                    "SampledGaussians"
                )
    if not protected or any(noise == 0 for noise, _ in found):
        return None
    return [(noise, rate, count) for (noise, rate), count in sorted(found.items())]


def _add(
    found: dict[tuple[float, float], int], receipt: Receipt, noise: float, rate: float, steps: int
) -> None:
    if not (0 <= noise < math.inf and 0 < rate <= 1 and steps >= 0):
        raise ReceiptError(
            f"cannot account for {receipt!r}: expected a noise of 0 or more, a rate above 0 and up "
            "to 1, and 0 steps or more"
        )
    if steps:
        found[noise, rate] = found.get((noise, rate), 0) + steps


def _is_gaussian(steps: Sequence[Sampled]) -> bool:
    return all(rate == 1 for _, rate, _ in steps)


def _by_analytic(steps: Sequence[Sampled], delta: float) -> float:
    mu = together(noise / math.sqrt(count) for noise, _, count in steps)
    return epsilon_of(mu, delta)


def _by_pld(steps: Sequence[Sampled], delta: float) -> float:
    """By privacy loss distributions: an upper bound (Koskela et al., 2020; Doroshenko et al.,
    2022)."""
    try:
        import dp_accounting as dp
    except ImportError as error:
        raise _lacks("dp-accounting") from error
    accountant = dp.pld.PLDAccountant(dp.NeighboringRelation.ADD_OR_REMOVE_ONE)
    for noise, rate, count in steps:
        one = dp.GaussianDpEvent(noise)
        accountant.compose(one if rate == 1 else dp.PoissonSampledDpEvent(rate, one), count)
    return float(accountant.get_epsilon(delta))


def _by_prv(steps: Sequence[Sampled], delta: float) -> float:
    """By the numerical composition of privacy random variables: an upper bound (Gopi et al., 2021).

    Opacus knows sampled Gaussians alone; at the rate 1 these are Gaussians, though it then takes
    the logarithm of 0 on the way, which numpy warns of.
    """
    import warnings

    import numpy as np

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            from opacus.accountants import PRVAccountant
        except ImportError as error:
            raise _lacks("opacus") from error
        accountant = PRVAccountant()
        accountant.history = [*steps]
        rough = float(accountant.get_epsilon(delta))
        return float(accountant.get_epsilon(delta, eps_error=max(rough * FINENESS, 1e-4)))


_ACCOUNTANTS: dict[str, Callable[[Sequence[Sampled], float], float]] = {
    ANALYTIC: _by_analytic,
    PLD: _by_pld,
    PRV: _by_prv,
}


def _lacks(package: str) -> ConfigError:
    return ConfigError(
        f"this takes the package {package}, which is not installed: pip install 'fedad[privacy]'"
    )
