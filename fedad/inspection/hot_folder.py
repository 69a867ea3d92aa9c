"""A folder that a camera writes into: every picture is judged once, whatever is killed when.

    <folder>/x.png                      waits until nobody writes to it any more
    <folder>/.fedad/working/<id>/x.png  is being judged
    <folder>/verdicts.jsonl             the verdict, with its id, on disk before the file moves on
    <folder>/done/x.png                 OK; NOK/, again/ and unreadable/ for the others

A picture is claimed by one rename, and has one line in `verdicts.jsonl` before it leaves `working`.
After a crash, what is in `working` and has its line only moves on; what has none is judged again.
Folders in the folder are left alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fedad.errors import ConfigError, DataError
from fedad.images.files import SUFFIXES, shown
from fedad.inspection.inspection import Inspection
from fedad.inspection.overlay import as_png, overlay
from fedad.inspection.results import Lines, row_of, unreadable
from fedad.judging.verdict_words import AGAIN, NOK, OK, UNREADABLE
from fedad.plumbing.files import FOLDER_MODE, private_file, private_folder, write_atomic

OWN, WORKING, LOG = ".fedad", "working", "verdicts.jsonl"
PLACES = {OK: "done", NOK: "NOK", AGAIN: "again", UNREADABLE: "unreadable"}
OVERLAY = ".overlay.png"
LONGEST = 255  # bytes of a file's name
POLL = 0.2  # seconds between two looks at the folder


def check_folder(folder: Path) -> None:
    """Refuse what cannot be watched.

    Raises:
        ConfigError: it is no folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{shown(folder)}: there is no such folder to watch")


class Judge(Protocol):
    """What judges the pictures of a folder: an `Inspector`, or what stands for one."""

    def product_of(self, product: str) -> str:
        """The product that a name means; raises where it cannot be judged."""
        ...

    def inspect(self, picture: Path, product: str, name: str, /) -> Inspection:
        """The verdict on one picture."""
        ...


@dataclass
class HotFolder:
    """A folder that is watched.

    Args:
        product: of its pictures; empty: that of each is recognised, where there are several.
        settle: seconds for which a file must not change before it is picked up.
        patience: seconds after which a file that still cannot be read never will.
    """

    folder: Path
    inspector: Judge
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
        left = sorted(place for place in working.iterdir() if place.is_dir())
        named, verdicts = {place.name for place in left}, dict[str, str]()
        if left:  # a log of years is not held in memory
            rows = ((str(row.get("id")), row) for row in log.read())
            verdicts = {id_: str(row.get("verdict")) for id_, row in rows if id_ in named}
        for place in left:
            if not any(place.iterdir()):  # killed before the file came, or after it went
                place.rmdir()
            elif place.name in verdicts:
                self._move(place, verdicts[place.name])
            else:
                yield from self._judged(place, log)

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
            if now - since >= (self.settle if stat.st_size else self.patience):
                ready.append((stat.st_mtime_ns, path))
        self._seen = there
        return [path for _, path in sorted(ready)]

    def _claimed(self, path: Path, working: Path) -> Path | None:
        """The picture's place while it is judged, a folder that none had before: one rename. None
        where somebody took it away meanwhile."""
        place = working / f"{time.time_ns()}"
        place.mkdir(FOLDER_MODE)
        try:
            path.rename(place / path.name)
        except FileNotFoundError:
            place.rmdir()
            return None
        return place

    def _judged(self, place: Path, log: Lines) -> Iterator[dict[str, Any]]:
        """Judge a claimed picture, note it, and let it move on; or put it back to wait."""
        (path,) = place.iterdir()
        try:
            one = self.inspector.inspect(path, self.product, path.name)
        except DataError as error:
            if self._may_grow(path):
                return
            why = str(error).replace(shown(path), shown(Path(path.name)))
            row = unreadable(path.name, why)
            yield self._finished(place, row, None, log)
        else:
            yield self._finished(place, row_of(one), one, log)

    def _finished(
        self, place: Path, row: dict[str, Any], one: Inspection | None, log: Lines
    ) -> dict[str, Any]:
        row = {"id": place.name, **row}
        log.add(row)
        self._move(place, row["verdict"], one)
        return row

    def _move(self, place: Path, verdict: str, one: Inspection | None = None) -> None:
        """Where a picture with this verdict belongs, under its own name if that is free."""
        (path,) = place.iterdir()
        into = private_folder(self.folder / PLACES.get(verdict, PLACES[UNREADABLE]))
        to = free_name(into, path.stem, path.suffix, place.name)
        if one is not None and verdict != OK:
            drawn = free_name(into, to.name, OVERLAY, place.name)
            write_atomic(drawn, as_png(overlay(one)), flush=False)
        path.rename(to)
        place.rmdir()

    def _may_grow(self, path: Path) -> bool:
        """Whether a file that cannot be read may be half written; it goes back to wait then.

        Its own time may be of another clock, and ahead of ours: it has waited since we first saw
        it so, at the latest."""
        name, now, stat = path.name, self.clock(), path.stat()
        back = self.folder / name
        size, changed, since = self._broken.pop(name, (-1, -1, now))
        if (size, changed) != (stat.st_size, stat.st_mtime_ns):
            since = min(now, stat.st_mtime)
        if now - since > self.patience or back.exists():
            return False
        self._broken[name] = (stat.st_size, stat.st_mtime_ns, since)
        path.rename(back)
        path.parent.rmdir()
        self._seen.pop(name, None)
        return True


def free_name(folder: Path, stem: str, ending: str, stamp: str) -> Path:
    """A place in a folder that nothing has: with a stamp before the ending where a file is called
    so already, or where a disk takes no name of that length."""
    plain = folder / f"{stem}{ending}"
    if len(os.fsencode(plain.name)) <= LONGEST and not os.path.lexists(plain):
        return plain
    while len(os.fsencode(f"{stem}.{stamp}{ending}")) > LONGEST:
        stem = stem[:-1]
    return folder / f"{stem}.{stamp}{ending}"
