"""Uploads of banks whose days are over: the server keeps them for `round.keep-days`, no longer.

They are what a bank is merged anew from without a site. A run that begins deletes those of the
runs beside it, and `fedad prune` does so on a day without one. Without its uploads a run is whole
but for that: its model, record and journal stay.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fedad.config import KEEP_DAYS, RoundKnobs
from fedad.errors import DataError
from fedad.plumbing.journal import NAME as JOURNAL
from fedad.plumbing.journal import Event, events_of

DAY = 86_400.0  # seconds


class Held(NamedTuple):
    """A run's uploads that are kept.

    Args:
        files: all that are there.
        days: what the run keeps them for, since the first of them came.
        age: days since then.
    """

    run: Path
    files: tuple[Path, ...]
    days: int
    age: float

    @property
    def is_over(self) -> bool:
        return self.age >= self.days

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(one.stat().st_size for one in self.files)


def held(run: Path) -> Held | None:
    """The uploads that a finished run keeps; None where it keeps none, or may still need them.

    Raises:
        DataError: its journal cannot be read.
    """
    if not any(run.glob("uploads*")):  # so that no journal is read of what keeps none
        return None
    events = events_of(run)
    if not any(one["event"] == "finished" for one in events):
        return None
    there = [one for one in dict.fromkeys(_uploads(run, events)) if one.is_file()]
    if not there:
        return None
    first = min(one.stat().st_mtime for one in there)
    days = int(events[0]["config"].get(KEEP_DAYS, RoundKnobs.keep_days))
    return Held(run, tuple(there), days, (time.time() - first) / DAY)


def all_held(runs: Path) -> Iterator[Held]:
    """What each run of a folder of runs keeps; a run whose journal cannot be read is passed by."""
    for journal in sorted(runs.glob(f"*/{JOURNAL}")):
        if journal.parent.is_symlink():
            continue
        with suppress(DataError, OSError):
            if found := held(journal.parent):
                yield found


def delete(old: Held) -> None:
    """Delete a run's uploads, and the folders that they leave empty.

    Raises:
        OSError: one cannot be deleted; those before it are gone.
    """
    for file in old.files:
        file.unlink(missing_ok=True)
    for folder in {file.parent for file in old.files}:
        with suppress(OSError):  # something else is in it
            folder.rmdir()


def _uploads(run: Path, events: list[Event]) -> Iterator[Path]:
    """The files of uploads that a journal names, none of which lies elsewhere."""
    for event in events:
        if event["event"] == "uploaded":
            file = run / str(event["file"])
            if file.resolve().is_relative_to(run.resolve()):
                yield file
