"""What a server judged, a line each, for as long as it is kept: `inspected/2026-11-02.jsonl` a UTC
day.

A line is that of `fedad inspect --jsonl`, with an id and the SHA-256 of the picture's file, and no
pixel. One thread writes, all that waits at once; who was judged waits for it only briefly, so that
a full or a slow disk stops nobody. Several processes may write to one folder.
"""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from fedad.drift.rows import INSPECTED, LINES
from fedad.errors import BusyError
from fedad.inspection.results import as_line
from fedad.plumbing.files import append_line, cut_torn, flush_folder, private_file, private_folder
from fedad.plumbing.shown import for_log
from fedad.serving import verdict_log

KEEP_DAYS = 400
MOST = 1000  # lines that wait
PATIENCE = 0.25  # seconds for which a line is waited for
LOOK = 3600.0  # seconds until files that are too old are looked for, while nothing is judged
_NAME = re.compile(rf"(\d{{4}}-\d\d-\d\d){re.escape(LINES)}")


class Waiting(NamedTuple):
    """A line on its way to the file of its day, and who waits for it."""

    day: str
    line: bytes
    written: Future[None]


class Inspected:
    """The log of a folder of models.

    Args:
        models: the folder that it is in.
        keep_days: how many days' files stay, with today's.
        say: is told a line when something goes wrong, and when it is right again.
        failed: is told each time that lines could not be written.
    """

    def __init__(
        self,
        models: Path,
        keep_days: int = KEEP_DAYS,
        say: Callable[[str], None] = lambda line: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder, self.keep_days = models / INSPECTED, keep_days
        self.say, self.failed = say, failed
        self.trouble = ""  # why lines are not written
        self._lost = 0
        self._forgot = date.min  # the day on which older files were looked for last
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="log of inspections", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End, once all that waits is written."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write what was judged at `row["time"]`; it is on disk, whole, when this returns, unless
        the disk is slow or takes nothing."""
        line = f"{as_line(row)}\n".encode(errors="backslashreplace")
        one = Waiting(str(row["time"])[:10], line, Future())
        with self._changed:
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(one)
            self._changed.notify()
        if not self.trouble and self._thread.is_alive():
            with suppress(TimeoutError):
                one.written.result(PATIENCE)

    def last(self, number: int) -> list[dict[str, Any]]:
        """The last lines, the newest first; whichever process wrote them."""
        found = list[dict[str, Any]]()
        for path in reversed(self._days()):
            if len(found) < number:
                found += verdict_log.last(path, number - len(found))
        return found

    def over(self, today: date | None = None) -> list[tuple[str, int]]:
        """The files of days that are over, and their bytes: what does not change any more."""
        now = f"{today or _today()}"
        return [(one.name, one.stat().st_size) for one in self._days() if one.stem < now]

    def _days(self) -> list[Path]:
        """The files of days, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(one for one in self.folder.iterdir() if _NAME.fullmatch(one.name))

    def _run(self) -> None:
        while True:
            self._forget()
            with self._changed:
                if not self._waiting and not self._stopping:
                    self._changed.wait(LOOK)
                some = [*self._waiting]
                self._waiting.clear()
                if not some and self._stopping:
                    return
            self._write(some)
            for one in some:
                one.written.set_result(None)

    def _write(self, some: Iterable[Waiting]) -> None:
        by_day = defaultdict[str, list[bytes]](list)
        for one in some:
            by_day[one.day].append(one.line)
        for day, lines in by_day.items():
            path, why = self.folder / f"{day}{LINES}", ""
            try:
                if cut := append(path, b"".join(lines)):
                    self.say(f"{path}: {cut} bytes of a torn last line were cut off")
            except (OSError, BusyError) as error:
                self._lost += len(lines)
                self.failed()
                why = getattr(error, "strerror", None) or f"{error}"
            self._tell(path, why)

    def _tell(self, path: Path, why: str) -> None:
        """One line for however many lines fail, and one when they are written again."""
        if why and not self.trouble:
            self.trouble = for_log(f"{path}: what is judged is not kept ({why})")
            self.say(f"{self.trouble}: judging goes on")
        elif self.trouble and not why:
            self.trouble = ""
            self.say(f"{path}: what is judged is kept again; {self._lost} lines are missing")
            self._lost = 0

    def _forget(self) -> None:
        """Delete the files of older days, once a day."""
        if self._forgot == (today := _today()):
            return
        oldest = f"{today - timedelta(self.keep_days - 1)}"
        with suppress(OSError):
            for path in self._days():
                if path.stem < oldest:
                    path.unlink(missing_ok=True)
        self._forgot = today


def append(path: Path, lines: bytes) -> int:
    """Add whole lines to a file of a day; how many bytes of a torn last line were cut off before.

    Raises:
        BusyError: another process writes for longer than is waited for.
        OSError: they could not be written; the file is as it was.
    """
    is_new = not path.exists()
    private_folder(path.parent)
    file = os.open(private_file(path), os.O_RDWR | os.O_APPEND)
    try:
        with verdict_log.alone(file, path):
            cut = cut_torn(file)
            append_line(file, lines)
    finally:
        os.close(file)
    if is_new:
        flush_folder(path.parent)
    return cut


def _today() -> date:
    return datetime.now(UTC).date()
