"""What of a verdict is followed over time: four numbers of a picture, each a stream of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scipy.special import ndtri

P_VALUE, DISTANCE, BRIGHTNESS, SHARPNESS = "p-value", "distance", "brightness", "sharpness"
LOOKS = (BRIGHTNESS, SHARPNESS)  # of whole pictures: what a camera and its lamp move
ODDNESS = (P_VALUE, DISTANCE)  # of what is in them: what a product moves

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Stream:
    """One number of a picture; `of` gives NaN where a row lacks it.

    `is_log` says that a difference d of it is a factor exp(d) of what was measured; `by_model` that
    it starts over with another model.
    """

    name: str
    of: Callable[[Row], float]
    is_log: bool = True
    by_model: bool = False


def odd_by_p(row: Row) -> float:
    """How odd a picture is among the good parts that the threshold rests on, in standard
    deviations: minus the normal quantile of its p-value.

    Among n good parts a p-value is one of 1 / (n + 1) to 1. The middle of its step is taken, which
    is neither 0 nor 1.
    """
    p, parts = _number(row.get("p_value")), _number(row.get("good_parts"))
    if not (0 < p <= 1 and parts >= 1):
        return math.nan
    return -float(ndtri(p - 0.5 / (parts + 1)))


def _log_of(name: str) -> Callable[[Row], float]:
    def of(row: Row) -> float:
        value = _number(row.get(name))
        return math.log(value) if 0 < value < math.inf else math.nan

    return of


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


STREAMS = (
    Stream(P_VALUE, odd_by_p, is_log=False, by_model=True),
    Stream(DISTANCE, _log_of("nearest_distance"), by_model=True),
    Stream(BRIGHTNESS, _log_of("grey")),
    Stream(SHARPNESS, _log_of("sharpness")),
)
