"""What a run has done so far: one line an event, on disk before the next step is taken.

Each line starts with a checksum of itself and of the line before it, so that a journal that was
changed is refused. Only the last line may be torn, by a crash while it was written; it then never
was. One process at a time has a run's journal.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedad.errors import ConfigError, DataError
from fedad.plumbing.files import append_line, flush_folder, private_file, private_folder
from fedad.plumbing.parse import from_json

NAME = "journal.jsonl"

Event = dict[str, Any]


class TakenError(ConfigError):
    """The folder is another run's, or another process goes on with its run."""


class Journal:
    """The journal of the run in `folder`; `events` are what was noted, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.events, self._mark = folder, list[Event](), ""
        self._file = os.open(private_file(folder / NAME), os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise TakenError(f"{folder}: another process goes on with this run now") from error

    @classmethod
    def begin(cls, folder: Path, **told: Any) -> Journal:
        """A new journal, whose first event is `begun`.

        Raises:
            TakenError: the folder is another run's.
        """
        if (folder / NAME).exists():
            raise TakenError(
                f"round.out = {str(folder)!r}: a run has begun there: go on with it by "
                "round.resume = true, or name another folder"
            )
        private_folder(folder)
        journal = cls(folder)
        journal.note("begun", **told)
        flush_folder(folder)
        return journal

    @classmethod
    def reopen(cls, folder: Path) -> Journal:
        """The journal of a run that is to go on.

        Raises:
            DataError: there is none, or a line of it was changed.
            TakenError: another process goes on with it.
        """
        _read(folder)  # which makes no journal where there is none
        journal = cls(folder)
        try:  # what its last owner wrote until it was ours
            journal.events, journal._mark, size = _read(folder)
        except BaseException:
            journal.close()
            raise
        os.ftruncate(journal._file, size)  # a torn line
        return journal

    def note(self, event: str, **told: Any) -> None:
        """Append an event; it is on disk when this returns.

        Raises:
            OSError: the disk is full; the journal is as it was.
        """
        text = json.dumps({"event": event, **told}, sort_keys=True)
        mark = _mark(self._mark, text)
        append_line(self._file, f"{mark} {text}\n".encode())
        self.events.append(from_json(text))
        self._mark = mark

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)

    def last(self, event: str) -> Event | None:
        """The newest event of a kind."""
        return next((one for one in reversed(self.events) if one["event"] == event), None)

    def by_site(self, event: str) -> Mapping[str, Event]:
        """Of each site the newest event of a kind."""
        return {one["site"]: one for one in self.events if one["event"] == event}


def events_of(folder: Path) -> list[Event]:
    """What the run in `folder` has noted so far, also while it goes on.

    Raises:
        DataError: there is no journal, or a line of it was changed.
    """
    return _read(folder)[0]


def _read(folder: Path) -> tuple[list[Event], str, int]:
    """The events, the checksum of the last one, and the bytes that they take."""
    path = folder / NAME
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise DataError(f"{path}: no run has begun there ({error.strerror})") from error
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    events, mark = [], ""
    for number, line in enumerate(lines, start=1):
        found, _, text = line.decode(errors="replace").rstrip("\n").partition(" ")
        if found != _mark(mark, text):
            raise DataError(f"{path}: line {number} is not what was written: was it changed?")
        events.append(_event(path, number, text))
        mark = found
    if not events:
        raise DataError(f"{path}: the journal is empty: the run ended before it began")
    return events, mark, sum(map(len, lines))


def _event(path: Path, number: int, text: str) -> Event:
    try:
        return dict(from_json(text))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: line {number} is no event ({error}): was it changed?") from error


def _mark(before: str, text: str) -> str:
    return hashlib.sha256(f"{before} {text}".encode()).hexdigest()[:32]
