"""Whether the line drifts, by what its server has judged on the days that are over.

It is found in a process of its own, once for the days that there are, and kept: the log of a day
that is over does not change. The running day counts once it is over, since a day's promise is that
of a whole day's pictures.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedad.serving.inspected import Inspected
from fedad.serving.work import DRIFT, Beside

if TYPE_CHECKING:
    from fedad.drift.reasons import Event
    from fedad.drift.run_length import Delay
    from fedad.drift.series import Series
    from fedad.drift.state import State

MOST = 4  # answers that are kept: each is of another first day
PATIENCE = 2.0  # seconds for which a new answer is waited for, where there is one of before

Answer = Mapping[str, Any]
Find = Callable[[Sequence[Path], str], Answer]


@dataclass(frozen=True)
class Known:
    """An answer, and the files with their sizes that it is of."""

    files: Sequence[tuple[str, int]]
    answer: Answer


class Drifting:
    """What drifts, by a log of inspections; may be asked from any thread.

    Args:
        find: the answer of files of days and a first day or none, as `found` gives it.
    """

    def __init__(self, log: Inspected, find: Find | None = None) -> None:
        self.log, self._find = log, find or self._beside
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._coming: dict[str, Future[Answer]] = {}
        self._lock, self._one = threading.Lock(), threading.Lock()
        self._task: Beside | None = None
        self._stopped = False

    def ask(self, since: str = "") -> Answer:
        """What drifts. Where another day is over, the answer of before is given until the new one
        is there, if that takes long.

        Args:
            since: the first day that counts; all if empty.

        Raises:
            FedadError: the process that looks was ended.
        """
        files = self.log.over()
        with self._lock:
            known = self._known.get(since)
            if known and known.files == files:
                return known.answer
            coming = self._coming.get(since) or self._begin(since, files)
        try:
            return coming.result(PATIENCE if known else None)
        except TimeoutError:
            if known is None:
                raise
            return known.answer

    def stop(self) -> None:
        """End what looks."""
        self._stopped = True
        if (task := self._task) is not None:
            task.stop()

    def _begin(self, since: str, files: Sequence[tuple[str, int]]) -> Future[Answer]:
        self._coming[since] = coming = Future[Answer]()
        look = threading.Thread(target=self._look, args=(since, files, coming), daemon=True)
        look.start()
        return coming

    def _look(self, since: str, files: Sequence[tuple[str, int]], coming: Future[Answer]) -> None:
        try:
            with self._one:
                answer = self._find([self.log.folder / name for name, _ in files], since)
        except BaseException as error:
            with self._lock:
                del self._coming[since]
            coming.set_exception(error)
            return
        with self._lock:
            del self._coming[since]
            self._known[since] = Known(files, answer)
            self._known.move_to_end(since)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        coming.set_result(answer)

    def _beside(self, files: Sequence[Path], since: str) -> Answer:
        names = [f"{one.absolute()}" for one in files]
        self._task = task = Beside({"do": DRIFT, "files": names, "since": since})
        if self._stopped:
            task.stop()
        try:
            return task.run()
        finally:
            self._task = None


def found(files: Sequence[Path], since: str) -> dict[str, Any]:
    """What lines of files say: `told` is what there is to say, `charts` the drawings of each
    product by theme."""
    from fedad.drift.rows import read_rows
    from fedad.drift.state import state_of
    from fedad.reporting.drift_chart import THEMES, themed_svg

    rows = (row for file in files if file.exists() for row in read_rows(file))
    state = state_of(rows, since=date.fromisoformat(since) if since else None)
    charts = {
        name: {theme: themed_svg(state, HERE, name, theme) for theme in THEMES}
        for name in state.products(HERE)
    }
    return {"told": told_of(state), "charts": charts}


HERE = ""  # what the one site of a server's lines is called


def told_of(state: State) -> dict[str, Any]:
    """The state of a line, as JSON has it."""
    from fedad.drift.run_length import PLAYED
    from fedad.drift.self_started import FIRST

    days = sorted({day for one in state.series for day in one.days.days})
    soon = state.soon(HERE) if state.series else None
    return {
        "quiet_days": state.quiet_days,
        "charts": state.charts(HERE),
        "first": FIRST,
        "from": f"{days[0]}" if days else None,
        "until": f"{days[-1]}" if days else None,
        "events": [_event(state, one) for one in state.events],
        "products": [_product(state, name) for name in state.products(HERE)],
        "soon": {
            "at_once": [_delay(size, one) for size, one in soon.steps.items()] if soon else [],
            "a_day": [_delay(size, one) for size, one in soon.ramps.items()] if soon else [],
            "played": PLAYED,
        },
    }


def of_product(told: Answer, product: str) -> dict[str, Any]:
    """What is said of one product; whether it is the camera is by all of them."""
    events = [
        one for one in told["events"] if any(alarm["product"] == product for alarm in one["alarms"])
    ]
    products = [one for one in told["products"] if one["product"] == product]
    return {**told, "events": events, "products": products}


def _event(state: State, event: Event) -> dict[str, Any]:
    series = {(one.product, one.stream.name): one for one in state.series}
    alarms = [_alarm(series[pair]) for pair in event.alarmed]
    names = ("since", "day")
    days = {name: f"{getattr(event, name)}" for name in names}
    return {**days, "cause": event.cause, "words": event.words, "alarms": alarms}


def _alarm(one: Series) -> dict[str, Any] | None:
    """A stream's alarm: the chart, its day, since when, and by how much it is off."""
    if (alarm := one.alarm) is None:
        return None
    days = one.days.days
    return {
        "product": one.product,
        "stream": one.stream.name,
        "chart": alarm.chart,
        "day": f"{days[alarm.at]}",
        "since": f"{days[alarm.start]}",
        "change": one.amount(alarm.change),
    }


def _product(state: State, name: str) -> dict[str, Any]:
    series = state.of(HERE, name)
    streams = [
        {
            "stream": one.stream.name,
            "days": len(one.days.days),
            "pictures": int(one.days.parts.sum()),
            "last": round(float(one.q[-1]), 2) if one.is_ready else None,
            "alarm": _alarm(one),
        }
        for one in series
    ]
    return {
        "product": name,
        "days": max(len(one.days.days) for one in series),
        "pictures": max(int(one.days.parts.sum()) for one in series),
        "too_few": name in state.early(HERE),
        "streams": streams,
    }


def _delay(size: float, one: Delay) -> dict[str, Any]:
    from fedad.drift.run_length import PLAYED

    seen = one.most <= PLAYED
    return {
        "sd": size,
        "mean": round(one.mean, 1) if seen else None,
        "within": round(one.most) if seen else None,
    }
