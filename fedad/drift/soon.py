"""How soon a change is seen, by a site's own limits and number of days."""

from __future__ import annotations

from dataclasses import dataclass

from fedad.drift.charts import Limits
from fedad.drift.run_length import Delay, delay, ramp_delay
from fedad.drift.self_started import FIRST

SHIFTS = (1.0, 2.0, 3.0)  # standard deviations of days, by which something moves at once
SLOPES = (0.05, 0.1, 0.2)  # the same each day more: a film that grows, a lamp that ages
MOST_REFERENCE = 60  # days before a shift: more hardly change how soon it is seen


@dataclass(frozen=True)
class Soon:
    """Days until an alarm, by what a day's mean moves by: at once, or each day more."""

    steps: dict[float, Delay]
    ramps: dict[float, Delay]


def soon(limits: Limits, days: int) -> Soon:
    """What is seen how soon.

    Args:
        days: that there have been; more than `MOST_REFERENCE` are taken for as many.
    """
    reference = max(FIRST, min(days, MOST_REFERENCE))
    return Soon(
        {shift: delay(limits, shift, reference) for shift in SHIFTS},
        {slope: ramp_delay(limits, slope, reference) for slope in SLOPES},
    )
