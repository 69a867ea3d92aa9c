"""What operators said of verdicts: JSON lines that are only added to, and that tell of a change.

Each line has the SHA-256 of the line before it (`before`), and a line is on disk, whole, when `add`
returns. What a crash left of a last line is cut off. Several processes may add to one file: each
holds a lock while it does. Whoever changes, drops or moves a line breaks the chain from there on,
but for the last line: `broken` says where.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedad.errors import BusyError
from fedad.inspection.results import as_line
from fedad.plumbing.files import append_line, flush_folder, private_file, private_folder
from fedad.plumbing.parse import from_json

FILE = "verdicts.jsonl"
BEFORE = "before"
FIRST = "0" * 64  # what stands for the line before the first
WORDS = ("right", "false_alarm", "missed")  # what an operator may say
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
    """Where the chain does not hold, in words; empty: each line follows from the one before."""
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
            with _alone(file, self.path):
                before = _last_hash(file)
                whole = {**row, BEFORE: before}
                append_line(file, f"{as_line(whole)}\n".encode(errors="backslashreplace"))
        finally:
            os.close(file)
        if is_new:
            flush_folder(self.path.parent)
        return whole


def _last_hash(file: int) -> str:
    """The hash of the last whole line; what is torn behind it is cut off."""
    size = os.lseek(file, 0, os.SEEK_END)
    for start in (max(0, size - BLOCK), 0):  # the last lines, or all where that is not enough
        content = os.pread(file, size - start, start)
        whole, found, _ = content.rpartition(b"\n")
        if b"\n" in whole or not start:
            break
    end = start + len(whole) + len(found)
    if end < size:
        os.ftruncate(file, end)
    return sha256(whole.rpartition(b"\n")[2]).hexdigest() if found else FIRST


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


@contextmanager
def _alone(file: int, path: Path) -> Iterator[None]:
    """Keep other writers out, in this process and in others: each has opened the file itself."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise BusyError(f"{path}: another process is writing to it") from error
            time.sleep(0.01)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
