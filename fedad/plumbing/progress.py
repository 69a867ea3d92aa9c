"""How far a long stage has come: one line a stage, with what it does and how long it still takes.

Library code reports through `track`; who shows it is decided at the edges. A person at a terminal
gets bars, a log gets a line every ten seconds, and a site inside a Flower process writes a small
file that `fedad run` reads and shows.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from fedad.plumbing.console import say
from fedad.plumbing.files import write_atomic
from fedad.plumbing.shown import for_terminal

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[int], None]  # called with how many are done


class Sink(Protocol):
    """Where the progress of a stage is shown."""

    def start(self, stage: str, total: int) -> Advance: ...


_sink: ContextVar[Sink | None] = ContextVar("sink", default=None)


@contextmanager
def track(stage: str, total: int) -> Iterator[Advance]:
    """Report one stage: `with track("coreset", 4704) as progress: progress(picked)`.

    A stage inside a stage is silent: the outer one says how long all of it takes.
    """
    sink = _sink.get()
    advance = sink.start(stage, total) if sink else _ignore
    token = _sink.set(None)
    try:
        yield advance
    finally:
        _sink.reset(token)
    advance(total)


@contextmanager
def shown_by(sink: Sink | None) -> Iterator[None]:
    """Show the progress of everything inside in `sink`; None shows nothing."""
    token = _sink.set(sink)
    try:
        with sink if isinstance(sink, Bars) else nullcontext():
            yield
    finally:
        _sink.reset(token)


def _ignore(done: int) -> None:
    pass


class Silent:
    """Shows nothing."""

    def start(self, stage: str, total: int) -> Advance:
        return _ignore


class Bars:
    """Bars on a terminal, for stages that last; a line every ten seconds elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.bars: Progress | None = None

    def __enter__(self) -> Bars:
        if self.stream.isatty():
            from rich import progress
            from rich.console import Console

            self.bars = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
                console=Console(file=self.stream),
                transient=True,
                redirect_stdout=sys.stdout.isatty(),  # what goes to a file is not the terminal's
            ).__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        if self.bars is not None:
            self.bars.stop()
            self.bars = None

    def start(self, stage: str, total: int) -> Advance:
        bars = self.bars
        if bars is None:
            return lines(stage, total, lambda text: say(text, error=True, to=self.stream))
        task = bars.add_task(for_terminal(stage), total=total)

        def advance(done: int) -> None:
            bars.update(task, completed=done, visible=done < total)

        return advance


class Files:
    """A file a site, replaced at most twice a second, for a reader in another process."""

    def __init__(self, folder: Path, site: str) -> None:
        self.path = folder / f"{site}.json"

    def start(self, stage: str, total: int) -> Advance:
        shown = 0.0

        def advance(done: int) -> None:
            nonlocal shown
            if time.monotonic() - shown < 0.5 and done < total:
                return
            shown = time.monotonic()
            told = json.dumps({"stage": stage, "done": done, "total": total})
            write_atomic(self.path, told, flush=False)

        return advance


class Log:
    """A line every ten seconds to a logger's `info`."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write

    def start(self, stage: str, total: int) -> Advance:
        return lines(stage, total, self.write)


def lines(stage: str, total: int, write: Callable[[str], object], every: float = 10.0) -> Advance:
    """Report by whole lines: `embedding: 120 of 305, about 40 s left`.

    How long the rest takes follows from what came after the first piece: before it a network is
    loaded or a process started, once.
    """
    shown = time.monotonic()
    first: tuple[float, int] | None = None  # when the first piece was done, and how many it were

    def advance(done: int) -> None:
        nonlocal shown, first
        now = time.monotonic()
        if first is None and done > 0:
            first = (now, done)
        if now - shown < every or not 0 < done < total:
            return
        shown = now
        left = _left(first, now, done, total)
        write(f"{for_terminal(stage)}: {done} of {total}{left}")

    return advance


def _left(first: tuple[float, int] | None, now: float, done: int, total: int) -> str:
    """How long the rest takes, in words; nothing before there is a pace."""
    if first is None or done <= first[1] or now <= first[0]:
        return ""
    pace = (now - first[0]) / (done - first[1])
    return f", about {pace * (total - done):.0f} s left"
