"""One product's account at one site: its budget, what was drawn of it, and whether more fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

from fedad.dp.accounting import ANALYTIC, Spent, charged
from fedad.dp.gaussian import epsilon_of, multiplier
from fedad.dp.receipts import Gaussians, Receipt, SampledGaussians, Unit
from fedad.errors import FedadError

UNITS = get_args(Unit)
MOST, LEAST = 1000.0, 1e-12  # of an epsilon, and of a delta
SLACK = 1e-9  # of a budget, for the rounding of what is asked for and what it comes to


class LedgerError(FedadError):
    """There is no ledger, it cannot be believed, or what is left in it is not enough."""

    exit_code = 3


@dataclass(frozen=True)
class Terms:
    """What a site allows itself of a product, in all, by add/remove of one `unit`."""

    site: str
    product: str
    epsilon: float
    delta: float
    unit: str

    def check(self) -> None:
        """Whether they can be.

        Raises:
            LedgerError: they cannot.
        """
        if not (0 < self.epsilon <= MOST and LEAST <= self.delta < 1):
            raise LedgerError(
                f"epsilon = {self.epsilon:g}, delta = {self.delta:g}: expected above 0 and up to "
                f"{MOST:g}, and {LEAST:g} or more and below 1"
            )
        if self.unit not in UNITS:
            raise LedgerError(f"unit = {self.unit!r}: expected {' or '.join(UNITS)}")


@dataclass(frozen=True)
class Draw:
    """One release that was sealed.

    Args:
        run, stage: whose answer to what it is.
        mark: of all that was asked for.
        upload: the sha256 of what is sealed.
    """

    run: str
    stage: str
    mark: str
    upload: str
    receipt: Receipt


@dataclass(frozen=True)
class Debit:
    """A draw in the ledger; `late` if a crash came between its seal and this line."""

    draw: Draw
    time: float  # seconds since 1970
    late: bool


@dataclass(frozen=True)
class Ledger:
    """The account of one product at one site, as it was read."""

    folder: Path
    terms: Terms
    debits: tuple[Debit, ...]

    @cached_property
    def spent(self) -> Spent:
        """What all debits cost together.

        Raises:
            ReceiptError, ConfigError: see `charged`.
        """
        return charged((one.draw.receipt for one in self.debits), self.terms.delta)

    @property
    def left(self) -> float:
        """The budget less what is spent."""
        return max(0.0, self.terms.epsilon - self.spent.epsilon)

    @property
    def largest(self) -> float:
        """The largest epsilon that one more release may have: more than what is left, since the
        costs of two do not add up. NaN where something was drawn that has no exact curve."""
        if self.spent.accountant != ANALYTIC:
            return math.nan
        delta = self.terms.delta
        has, used = (
            1 / multiplier(e, delta) if e else 0.0 for e in (self.terms.epsilon, self._used)
        )
        return epsilon_of(math.sqrt(max(0.0, has * has - used * used)), delta)

    @property
    def _used(self) -> float:
        return min(self.spent.epsilon, self.terms.epsilon)

    def of(self, run: str, stage: str) -> Debit | None:
        """The debit of a run's answer, if there is one."""
        return next((o for o in self.debits if (o.draw.run, o.draw.stage) == (run, stage)), None)

    def check(self, receipt: Receipt, *, but: str = "") -> None:
        """Whether a release fits into what is left.

        Args:
            but: a run whose debits do not count, as all of it is in `receipt`.

        Raises:
            LedgerError: it does not, or it protects another unit.
        """
        terms = self.terms
        if isinstance(receipt, Gaussians | SampledGaussians) and receipt.unit != terms.unit:
            raise LedgerError(
                f"{self.folder}: a release that hides one {receipt.unit} of {terms.product!r}, "
                f"and the ledger is about {terms.unit}s: neither implies the other"
            )
        before = [one.draw.receipt for one in self.debits if one.draw.run != but]
        after = charged([*before, receipt], terms.delta).epsilon
        if after > terms.epsilon * (1 + SLACK):
            raise LedgerError(
                f"{self.folder}: the budget of {terms.product!r} is epsilon {terms.epsilon:g} at "
                f"delta {terms.delta:g}: {self.spent.epsilon:.3g} is spent by {len(before)} "
                f"releases, and with this one it would be {after:.3g}"
            )
