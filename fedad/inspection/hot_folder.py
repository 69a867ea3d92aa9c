"""A folder that a camera writes into: every picture is judged once, whatever is killed when.

    <folder>/x.png                      waits until nobody writes to it any more
    <folder>/.fedad/working/<id>~x.png  is being judged
    <folder>/verdicts.jsonl             the verdict, with its id, on disk before the file moves on
    <folder>/done/x.png                 OK; NOK/, again/ and unreadable/ for the others

A picture is claimed by one rename, and has one line in `verdicts.jsonl` before it leaves `working`.
After a crash, what is in `working` and has its line only moves on; what has none is judged again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedad.errors import ConfigError, DataError
from fedad.images.files import SUFFIXES, shown
from fedad.inspection.inspection import AGAIN, NOK, OK, UNREADABLE, Inspection
from fedad.inspection.inspector import Inspector
from fedad.inspection.overlay import as_png, overlay
from fedad.inspection.results import Lines, row_of, unreadable
from fedad.plumbing.files import private_file, private_folder, write_atomic

OWN, WORKING, LOG = ".fedad", "working", "verdicts.jsonl"
PLACES = {OK: "done", NOK: "NOK", AGAIN: "again", UNREADABLE: "unreadable"}
OVERLAY = ".overlay.png"
POLL = 0.2  # seconds between two looks at the folder


def check_folder(folder: Path) -> None:
    """Refuse what cannot be watched.

    Raises:
        ConfigError: it is no folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{shown(folder)}: there is no such folder to watch")


@dataclass
class HotFolder:
    """A folder that is watched.

    Args:
        settle: seconds for which a file must not change before it is picked up.
        patience: seconds after which a file that still cannot be read never will.
    """

    folder: Path
    inspector: Inspector
    product: str = ""
    settle: float = 0.5
    patience: float = 10.0
    clock: Callable[[], float] = time.time
    _seen: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    _broken: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    def watch(self, stop: Callable[[], bool] = lambda: False) -> Iterator[dict[str, Any]]:
        """The line of each picture, once it is judged and has moved on; until `stop` says so.

        Raises:
            ConfigError: no such folder, another process watches it, or the model cannot judge the
                product.
        """
        check_folder(self.folder)
        self.product = self.inspector.product_of(self.product)
        working = private_folder(self.folder / OWN / WORKING)
        with private_file(self.folder / OWN / "lock").open("rb+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(f"{self.folder}: another process watches it") from error
            with Lines(self.folder / LOG) as log:
                yield from self._left(working, log)
                while not stop():
                    found = False
                    for path in self._ready():
                        found = True
                        if claimed := self._claimed(path, working):
                            yield from self._judged(claimed, log)
                        if stop():
                            return
                    if not found:
                        time.sleep(POLL)

    def _left(self, working: Path, log: Lines) -> Iterator[dict[str, Any]]:
        """Finish what a process that was killed had begun."""
        known = {str(row.get("id")): row for row in log.rows}
        for path in sorted(working.iterdir()):
            if row := known.get(path.name):
                self._move(path, str(row.get("verdict", UNREADABLE)))
            else:
                yield from self._judged(path, log)

    def _ready(self) -> list[Path]:
        """The pictures that nobody has written to for a while, the oldest first."""
        ready, there = list[tuple[int, Path]](), dict[str, tuple[int, int, float]]()
        now = self.clock()
        for entry in os.scandir(self.folder):
            path = Path(entry.path)
            if entry.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            try:
                if not entry.is_file(follow_symlinks=False):
                    continue
                stat = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            size, changed, since = self._seen.get(entry.name, (-1, -1, now))
            if (size, changed) != (stat.st_size, stat.st_mtime_ns):
                since = now
            there[entry.name] = (stat.st_size, stat.st_mtime_ns, since)
            if stat.st_size and now - since >= self.settle:
                ready.append((stat.st_mtime_ns, path))
        self._seen = there
        return [path for _, path in sorted(ready)]

    def _claimed(self, path: Path, working: Path) -> Path | None:
        """The picture's place while it is judged: one rename, under a name that none had before.
        None where somebody took it away meanwhile."""
        claimed = working / f"{time.time_ns()}~{path.name}"
        try:
            path.rename(claimed)
        except FileNotFoundError:
            return None
        return claimed

    def _judged(self, path: Path, log: Lines) -> Iterator[dict[str, Any]]:
        """Judge a claimed picture, note it, and let it move on; or put it back to wait."""
        name = path.name.partition("~")[2]
        try:
            one = self.inspector.inspect(path, self.product, name)
        except DataError as error:
            if self._may_grow(path, name):
                return
            row = unreadable(name, str(error).replace(str(path), name))
            yield self._finished(path, row, None, log)
        else:
            yield self._finished(path, row_of(one), one, log)

    def _finished(
        self, path: Path, row: dict[str, Any], one: Inspection | None, log: Lines
    ) -> dict[str, Any]:
        row = {"id": path.name, **row}
        log.add(row)
        self._move(path, row["verdict"], one)
        return row

    def _move(self, path: Path, verdict: str, one: Inspection | None = None) -> None:
        """Where a picture with this verdict belongs, under its own name if that is free."""
        stamp, _, name = path.name.partition("~")
        to = private_folder(self.folder / PLACES.get(verdict, PLACES[UNREADABLE])) / name
        if to.exists():
            to = to.with_name(f"{to.stem}.{stamp}{to.suffix}")
        if one is not None and verdict != OK:
            write_atomic(to.with_name(to.name + OVERLAY), as_png(overlay(one)), flush=False)
        path.rename(to)

    def _may_grow(self, path: Path, name: str) -> bool:
        """Whether a file that cannot be read may be half written; it goes back to wait then.

        Its own time may be of another clock, and ahead of ours: it has waited since we first saw
        it so, at the latest."""
        back, now, stat = self.folder / name, self.clock(), path.stat()
        size, changed, since = self._broken.pop(name, (-1, -1, now))
        if (size, changed) != (stat.st_size, stat.st_mtime_ns):
            since = min(now, stat.st_mtime)
        if now - since > self.patience or back.exists():
            return False
        self._broken[name] = (stat.st_size, stat.st_mtime_ns, since)
        path.rename(back)
        self._seen.pop(name, None)
        return True
