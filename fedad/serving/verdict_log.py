"""What operators said of verdicts: JSON lines that are only added to, and that tell of a change.

Each line has the SHA-256 of the line before it (`before`), and a line is on disk, whole, when `add`
returns. What a crash left of a last line is cut off. Several processes may add to one file: each
holds a lock while it does. Whoever changes, drops or moves a line breaks the chain from there on;
whoever cuts lines off the end, or changes the last one, is told by `verdicts.end.json`, which says
how many lines there are and what the last one's hash is. `broken` says where.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from fedad.errors import BusyError, DataError
from fedad.inspection.results import as_line
from fedad.plumbing.files import (
    append_line,
    cut_torn,
    flush_folder,
    private_file,
    private_folder,
    read_json,
    write_json,
)
from fedad.plumbing.parse import from_json

FILE, END = "verdicts.jsonl", ".end.json"  # and what replaces a log's ending for its end
BEFORE = "before"
FIRST = "0" * 64  # what stands for the line before the first
PATIENCE = 2.0  # seconds for which another writer is waited for
LONGEST = 2**11  # bytes of a line
BLOCK = 2**16  # bytes of the end that are looked at; a line is shorter


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, the oldest first; none where there is no file.

    A line that somebody wrote by hand and that is no JSON object is left out.
    """
    return [*_parsed(_lines(path))]


def last(path: Path, number: int) -> list[dict[str, Any]]:
    """The last lines of a log, the newest first."""
    return [*reversed(deque(_parsed(_lines(path, number)), max(0, number)))]


def broken(path: Path) -> str:
    """Where the chain does not hold, and what is missing at its end, in words; empty: each line
    follows from the one before, and the last one is there."""
    try:
        missing = _missing(path, _end_of(path))
    except DataError as error:
        missing = str(error)
    return "; ".join(filter(None, (_broken(path), missing)))


def _broken(path: Path) -> str:
    before = FIRST
    for number, line in enumerate(_lines(path), start=1):
        try:
            told = dict(from_json(line)).get(BEFORE)
        except (ValueError, TypeError):
            return f"{path}: line {number} is no line of this log"
        if told != before:
            return (
                f"{path}: line {number} does not follow from the line before it: one of them was "
                "changed, dropped or put in by another program"
            )
        before = sha256(line).hexdigest()
    return ""


class VerdictLog:
    """A log that lines are added to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Append a line; return it with what was added: the hash of the line before.

        Raises:
            BusyError: another process writes for longer than `PATIENCE`.
            OSError: the disk is full; the log is as it was.
        """
        is_new = not self.path.exists()
        private_folder(self.path.parent)
        file = os.open(private_file(self.path), os.O_RDWR | os.O_APPEND)
        try:
            with alone(file, self.path):
                before = _last_hash(file)
                lines, missing = _counted(self.path, before)
                whole = {**row, BEFORE: before}
                line = as_line(whole).encode(errors="backslashreplace")
                append_line(file, line + b"\n")
                # A crash here, or a disk that is full now, leaves the log one line ahead.
                with suppress(OSError):
                    _write_end(self.path, End(lines + 1, sha256(line).hexdigest(), missing))
        finally:
            os.close(file)
        if is_new:
            flush_folder(self.path.parent)
        return whole


class End(NamedTuple):
    """Of a log: its lines, the hash of the last one, and how many were missing at its end when
    later ones were written."""

    lines: int
    last: str
    missing: int = 0


def _end_path(path: Path) -> Path:
    return path.with_suffix(END)


def _write_end(path: Path, end: End) -> None:
    write_json(_end_path(path), end._asdict())


def _end_of(path: Path) -> End | None:
    """What was written beside a log; None where nothing was, as by an older version.

    Raises:
        DataError: something else is there.
    """
    file = _end_path(path)
    if not file.exists():
        return None
    told = read_json(file, "the count of a log's lines and the hash of the last one")
    counts = [told.get(name) for name in ("lines", "missing")]
    if not (all(map(_is_count, counts)) and isinstance(told.get("last"), str)):
        raise DataError(f"{file}: expected lines, last and missing of a log: was it changed?")
    return End(int(told["lines"]), told["last"], int(told["missing"]))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _counted(path: Path, last: str) -> tuple[int, int]:
    """How many lines a log has, whose last one has this hash, and how many it has lost."""
    try:
        end = _end_of(path)
    except DataError:
        end = None
    if end is not None and end.last == last:
        return end.lines, end.missing
    there = sum(1 for _ in _lines(path))
    return there, (end.missing + _lost(path, end)) if end is not None else 0


def _missing(path: Path, end: End | None) -> str:
    """What a log lacks at its end, in words."""
    if end is None:
        return ""
    found = []
    if lost := _lost(path, end):
        found.append(f"{path}: {lost} of {end.lines} lines missing or changed at its end")
    if end.missing:
        found.append(f"{path}: {end.missing} lines were gone before later ones were written")
    return "; ".join(found)


def _lost(path: Path, end: End) -> int:
    """How many of the lines that were counted are not there, at least; what is ahead counts as
    written."""
    there, last = 0, FIRST
    for line in _lines(path):
        there += 1
        if there == end.lines:
            last = sha256(line).hexdigest()
    if there < end.lines:
        return end.lines - there
    return int(end.lines > 0 and last != end.last)


def _last_hash(file: int) -> str:
    """The hash of the last whole line; what is torn behind it is cut off."""
    cut_torn(file)
    size = os.lseek(file, 0, os.SEEK_END)
    for start in (max(0, size - BLOCK), 0):  # the last lines, or all where that is not enough
        _, found, last = os.pread(file, size - start, start)[:-1].rpartition(b"\n")
        if found or not start:
            break
    return sha256(last).hexdigest() if size else FIRST


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError, TypeError):
            yield dict(from_json(line))


def _lines(path: Path, about: int | None = None) -> Iterator[bytes]:
    """The whole lines of a file, without their ends; with `about`, so many of the last or more."""
    if not path.exists():
        return
    with path.open("rb") as file:
        if about is not None and (skipped := path.stat().st_size - about * LONGEST) > 0:
            file.seek(skipped)
            file.readline()  # the rest of one that is not whole
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


# Threads of this process queue at a lock of their own: at the file's, whoever asks again sleeps.
_HERE = defaultdict[Path, threading.Lock](threading.Lock)


@contextmanager
def alone(file: int, path: Path) -> Iterator[None]:
    """Keep other writers out, in this process and in others: each has opened the file itself.

    Raises:
        BusyError: another one writes for longer than `PATIENCE`.
    """
    here = _HERE[path]
    if not here.acquire(timeout=PATIENCE):
        raise BusyError(f"{path}: another request is writing to it")
    try:
        _lock(file, path)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        here.release()


def _lock(file: int, path: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise BusyError(f"{path}: another process is writing to it") from error
            time.sleep(0.01)
