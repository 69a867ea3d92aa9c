"""What a ledger says, in words and as JSON: no epsilon without what it is about."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fedad.dp.account import Debit, Ledger
from fedad.dp.accounting import charged
from fedad.dp.receipts import RELATION, Gaussians, Receipt, SampledGaussians, as_json


def in_words(ledger: Ledger) -> Iterator[str]:
    """The lines about one product."""
    terms, spent, count = ledger.terms, ledger.spent, len(ledger.debits)
    yield (
        f"{terms.product} at {terms.site}: epsilon {spent.epsilon:.3g} of {terms.epsilon:g} spent "
        f"by {count} release{'s' * (count != 1)}, {ledger.left:.3g} left"
    )
    yield (
        f"  at delta {terms.delta:g}, by {RELATION} of one {terms.unit} (replacing one costs about "
        f"twice), by the accountant {spent.accountant}"
    )
    if not math.isnan(largest := ledger.largest):
        yield f"  one more release may cost up to epsilon {largest:.3g}: two cost less than the sum"
    for debit in ledger.debits:
        yield f"  {_when(debit)}  {_told(debit.draw.receipt, terms.delta)}, run {_whose(debit)}"


def as_dict(ledger: Ledger) -> dict[str, Any]:
    """All of a ledger, and what it comes to."""
    spent = ledger.spent
    return {
        **asdict(ledger.terms),
        "relation": RELATION,
        "spent": spent.epsilon,
        "left": ledger.left,
        "largest": ledger.largest,
        "accountant": spent.accountant,
        "releases": [
            {
                "time": _when(debit),
                "run": debit.draw.run,
                "stage": debit.draw.stage,
                "late": debit.late,
                "sha256": debit.draw.upload,
                "epsilon": charged([debit.draw.receipt], ledger.terms.delta).epsilon,
                "receipt": as_json(debit.draw.receipt),
            }
            for debit in ledger.debits
        ],
    }


def _told(receipt: Receipt, delta: float) -> str:
    cost = charged([receipt], delta)
    alone = f"{receipt.release}: epsilon {cost.epsilon:.3g} by itself"
    match receipt:
        case Gaussians(noise=noise):
            return f"{alone}, {len(noise)} Gaussian sum{'s' * (len(noise) != 1)}"
        case SampledGaussians(steps=steps, rate=rate):
            return f"{alone}, {steps} steps over {rate:.0%} of the {receipt.unit}s"
    return alone


def _whose(debit: Debit) -> str:
    late = ", debited after a crash" if debit.late else ""
    return f"{debit.draw.run} ({debit.draw.stage}){late}"


def _when(debit: Debit) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(debit.time))
