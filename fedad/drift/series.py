"""A stream of a product at a site, day by day, and its alarm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from fedad.drift.charts import cusum, ewma
from fedad.drift.days import Days
from fedad.drift.self_started import FIRST
from fedad.drift.streams import Stream


@dataclass(frozen=True)
class Alarm:
    """The chart that alarmed, the number of its day, since about which day it had moved, and by how
    much (in the stream's own unit) the days since are off those before."""

    chart: str
    at: int
    start: int
    change: float


@dataclass(frozen=True, eq=False)
class Series:
    """A stream's days, each one's standardised deviation `q` (T,), and the alarm, if any."""

    site: str
    product: str
    stream: Stream
    days: Days
    q: np.ndarray
    alarm: Alarm | None = None

    @cached_property
    def ewma(self) -> np.ndarray:
        return ewma(self.q)

    @cached_property
    def up(self) -> np.ndarray:
        return cusum(self.q)

    @cached_property
    def down(self) -> np.ndarray:
        return cusum(-self.q)

    @property
    def is_ready(self) -> bool:
        """Whether there are days enough to chart."""
        return len(self.q) > FIRST

    def moved(self, start: date, end: date) -> float:
        """By how many standard errors the days of a period are off those before; 0 without any."""
        inside = [k for k, day in enumerate(self.days.days) if start <= day <= end and k >= FIRST]
        return float(self.q[inside].sum() / math.sqrt(len(inside))) if inside else 0.0

    def change(self, start: date, end: date) -> float:
        """By how much the mean of a period is off that of the days before, in the stream's unit."""
        days = np.array(self.days.days)
        inside, before = (days >= start) & (days <= end), days < start
        if not inside.any() or not before.any():
            return math.nan
        return float(self.days.means[inside].mean() - self.days.means[before].mean())

    def amount(self, change: float) -> str:
        """A difference of this stream in words."""
        if not self.stream.is_log:
            return f"{change:+.2g} standard deviations"
        return f"{100 * math.expm1(change):+.1f} %"

    def told(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
        alarm = self.alarm
        return {
            "site": self.site,
            "product": self.product,
            "stream": self.stream.name,
            "days": [f"{day}" for day in self.days.days],
            "parts": self.days.parts.tolist(),
            "means": self.days.means.tolist(),
            "q": self.q.tolist(),
            "ewma": self.ewma.tolist(),
            "cusum_up": self.up.tolist(),
            "cusum_down": self.down.tolist(),
            "alarm": alarm
            and {
                "chart": alarm.chart,
                "day": f"{self.days.days[alarm.at]}",
                "since": f"{self.days.days[alarm.start]}",
                "change": alarm.change,
            },
        }
