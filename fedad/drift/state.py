"""Rows of verdicts -> the charts of each site, product and stream, their alarms, and what moved.

An alarm stands until somebody has looked into it and says from which day on things count anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from fedad.drift.charts import CUSUM, EWMA, Limits, cusum, ewma, first, start_of
from fedad.drift.days import Days, by_day
from fedad.drift.reasons import Event, events_of
from fedad.drift.rows import Judged, pictures_of
from fedad.drift.run_length import KINDS, limits_for
from fedad.drift.self_started import FIRST, against, self_started
from fedad.drift.series import Alarm, Series
from fedad.drift.soon import Soon, soon
from fedad.drift.streams import STREAMS, Stream

QUIET_DAYS = 1000.0  # of a site, on average, between two alarms that mean nothing


@dataclass(frozen=True)
class State:
    """All charts, by site, product and stream; limits by site; what the alarms come to."""

    quiet_days: float
    limits: Mapping[str, Limits]
    series: tuple[Series, ...]
    events: tuple[Event, ...]
    left_out: Mapping[str, int]

    @cached_property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted({one.site for one in self.series}))

    def of(self, site: str, product: str) -> list[Series]:
        """The streams of a product at a site."""
        return [one for one in self.series if (one.site, one.product) == (site, product)]

    def products(self, site: str) -> list[str]:
        """What a site has charts of."""
        return sorted({one.product for one in self.series if one.site == site})

    def charts(self, site: str) -> int:
        """How many charts a site has, all of which together keep the promise."""
        return KINDS * sum(one.site == site for one in self.series)

    def days(self, site: str) -> int:
        """The days of what has most."""
        return max((len(one.days.days) for one in self.series if one.site == site), default=0)

    def early(self, site: str) -> list[str]:
        """Products of which no stream has days enough."""
        return [
            name
            for name in self.products(site)
            if not any(one.is_ready for one in self.of(site, name))
        ]

    def soon(self, site: str) -> Soon:
        """How soon a change at a site is seen."""
        return soon(self.limits[site], self.days(site))

    def told(self) -> dict[str, Any]:
        """All of it as plain values that JSON holds."""
        return {
            "quiet_days": self.quiet_days,
            "limits": {site: asdict(one) for site, one in self.limits.items()},
            "series": [one.told() for one in self.series],
            "events": [one.told() for one in self.events],
            "left_out": dict(self.left_out),
        }


def state_of(
    rows: Iterable[Mapping[str, Any]],
    *,
    quiet_days: float = QUIET_DAYS,
    since: date | None = None,
    model: str = "",
    product: str = "",
) -> State:
    """The state of the lines that rows are of; see `rows.pictures_of`.

    Args:
        quiet_days: days on average until a site at which nothing drifts has an alarm, whatever
            number of charts it has.
        since: what is older does not count.
        model, product: of which verdicts count; of all if not told. A product's p-values and
            distances are those by its newest model in any case.
    """
    pictures = pictures_of(rows).only(since=since, model=model, product=product)
    found = [
        (key, stream, days)
        for key, some in sorted(_by_product(pictures.seen).items())
        for number, stream in enumerate(STREAMS)
        if len((days := _days(some, number, stream)).days)
    ]
    counts = {site: sum(1 for key, _, _ in found if key[0] == site) for (site, _), _, _ in found}
    limits = {site: limits_for(quiet_days, count) for site, count in counts.items()}
    series = tuple(
        charted(days, limits[site], site=site, product=name, stream=stream)
        for (site, name), stream, days in found
    )
    return State(quiet_days, limits, series, tuple(events_of(series)), pictures.left_out)


def charted(
    days: Days, limits: Limits, *, site: str = "", product: str = "", stream: Stream = STREAMS[0]
) -> Series:
    """Both charts of a stream, and the first alarm. From where the alarm's cause began, days are
    held against those before it alone."""
    q = self_started(days.means)
    plain = Series(site, product, stream, days, q)
    when = {
        EWMA: int(first(np.abs(ewma(q)) > limits.ewma)),
        CUSUM: int(first(np.maximum(cusum(q), cusum(-q)) > limits.cusum)),
    }
    chart = min(when, key=lambda name: when[name])
    if (at := when[chart]) == len(q):
        return plain
    start = start_of(q, at, FIRST)
    frozen = np.concatenate([q[:start], against(days.means, start)])
    change = float(days.means[start : at + 1].mean() - days.means[:start].mean())
    return replace(plain, q=frozen, alarm=Alarm(chart, at, start, change))


def _by_product(seen: Sequence[Judged]) -> dict[tuple[str, str], list[Judged]]:
    found = defaultdict(list)
    for one in seen:
        found[one.site, one.product].append(one)
    return found


def _days(seen: Sequence[Judged], number: int, stream: Stream) -> Days:
    """The days of a stream, by the newest model alone where another measures otherwise."""
    newest = max(seen, key=lambda one: one.day).model
    return by_day(
        (one.day, one.values[:, number])
        for one in seen
        if not stream.by_model or one.model == newest
    )
