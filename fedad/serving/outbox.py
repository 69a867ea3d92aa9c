"""Verdicts on their way to others: a bounded queue and a thread that delivers them in their order.

Judging never waits for it. What cannot be delivered is tried again, later and later; after `TRIES`
it is given up, and where more wait than may, the oldest is.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from fedad.plumbing.shown import for_log

MOST = 1000  # verdicts that wait
TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds to the next try, doubled at each


class UndeliveredError(Exception):
    """A message that was not taken; `again`: whether it may be at another try."""

    def __init__(self, line: str, *, again: bool = True) -> None:
        super().__init__(line)
        self.again = again


Send = Callable[[bytes], None]
"""Deliver a message, or raise `UndeliveredError`."""


class Outbox:
    """What waits to be delivered.

    Args:
        send: delivers one message.
        to: where, in words that may be printed.
        failed: is told of each try that failed.
        note: is told a line when delivery begins to fail, and when it works again.
    """

    def __init__(
        self,
        send: Send,
        to: str,
        *,
        failed: Callable[[], None],
        note: Callable[[str], None],
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self.send, self.to, self.failed, self.note = send, to, failed, note
        self.first_wait = first_wait
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._fails = False
        self._thread = threading.Thread(target=self._run, name=f"outbox {to}", daemon=True)
        self._thread.start()

    def put(self, told: Mapping[str, Any]) -> None:
        """Deliver a verdict some time; of too many the oldest is lost."""
        with self._changed:
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
                self.failed()
            self._waiting.append(json.dumps(told).encode())
            self._changed.notify()

    def stop(self, patience: float = 2.0) -> None:
        """End, once all is delivered or `patience` seconds have passed."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        self._thread.join(patience)
        if left := len(self._waiting):
            self.note(f"{self.to}: {left} verdicts were not delivered")

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._stopping.is_set():
                        return
                    self._changed.wait()
                message = self._waiting.popleft()
            self._deliver(message)

    def _deliver(self, message: bytes) -> None:
        wait = self.first_wait
        for number in range(1, TRIES + 1):
            try:
                self.send(message)
            except UndeliveredError as error:
                self.failed()
                self._say(f"{self.to}: {error}: trying again; /metrics counts what is lost")
                if not error.again or number == TRIES or self._stopping.is_set():
                    return
                self._stopping.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                if self._fails:
                    self.note(f"{self.to}: takes verdicts again")
                self._fails = False
                return

    def _say(self, line: str) -> None:
        """One line for however many tries fail in a row."""
        if not self._fails:
            self.note(for_log(line))
        self._fails = True
