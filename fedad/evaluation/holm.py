"""Holm's step-down adjustment of the p-values of one family (Scandinavian Journal of Statistics,
1979)."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """p-values of one family, adjusted; those that are NaN stay so, and count as tests."""
    order = sorted(range(len(ps)), key=lambda k: (math.isnan(ps[k]), ps[k]))
    found, highest = [math.nan] * len(ps), 0.0
    for rank, k in enumerate(order):
        if not math.isnan(ps[k]):
            highest = max(highest, min(1.0, (len(ps) - rank) * ps[k]))
            found[k] = highest
    return found
