"""What the server computes ends by a deadline, whatever sites have sent.

Work runs in a thread of its own. The run ends when time is up, wherever the work is then; the work
itself ends when it next reports progress, asks a site, or with the ServerApp's process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from fedad.errors import FedadError
from fedad.plumbing.progress import Advance, shown_by

T = TypeVar("T")

LOOK = 0.5  # seconds between two looks at the clock, which may have been stopped meanwhile


class LateError(FedadError):
    """Something took longer than it may."""


class Deadline:
    """So many seconds from now on, but those that go by while it is `stopped`.

    It stands where progress is shown, and so is asked again and again by all that takes long.

    Args:
        told: what is said when time is up.
    """

    def __init__(self, seconds: float, told: str) -> None:
        self.until, self.told = time.monotonic() + seconds, told
        self.halted: float | None = None

    def check(self) -> None:
        """Refuse to go on when time is up.

        Raises:
            LateError: what there is to say of it.
        """
        if (self.halted or time.monotonic()) > self.until:
            raise LateError(self.told)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The clock stands still inside: what is waited for has a deadline of its own."""
        self.check()
        self.halted = time.monotonic()
        try:
            yield
        finally:
            self.until += time.monotonic() - self.halted
            self.halted = None

    def start(self, stage: str, total: int) -> Advance:
        """As a sink of progress; nothing is shown."""
        return lambda done: self.check()

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, if it does in time.

        Raises:
            LateError: it does not.
        """
        answers: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(1)

        def worked() -> None:
            try:
                with shown_by(self):
                    answers.put((work(), None))
            except BaseException as error:  # raised where the answer is waited for
                answers.put((None, error))

        threading.Thread(target=copy_context().run, args=(worked,), daemon=True).start()
        while True:
            try:
                made, error = answers.get(timeout=LOOK)
            except queue.Empty:
                self.check()
                continue
            if error is not None:
                raise error
            return made  # type: ignore[return-value]
