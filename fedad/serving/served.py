"""What a server judges by: one open model, one thread that judges, and a bounded queue before it.

Another model that becomes current is opened whole before it takes the place of the one before, by
one assignment, and before the next picture is judged. One that cannot be opened changes nothing,
and is tried again later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fedad.errors import FedadError
from fedad.models.store import current
from fedad.serving.refusals import busy

if TYPE_CHECKING:
    from fedad.inspection.inspection import Inspection
    from fedad.inspection.inspector import Inspector

MOST = 64  # pictures that wait
LOOK = 0.5  # seconds between two looks at which model is current, while nothing is judged
AGAIN = 30.0  # seconds until a model that could not be opened is tried again
SETTLE = 60.0  # seconds for which a new model is waited for until it judges
NO_MODEL = "no model judges yet: teach one from the page, or fedad model accept takes one"


class Upload(NamedTuple):
    """A picture to judge: the bytes of its file, its product or nothing, and what it is called."""

    content: bytes
    product: str
    name: str


class Waiting(NamedTuple):
    """A picture in the queue, and where its verdict goes."""

    upload: Upload
    verdict: Future[Inspection]


class Served:
    """A folder of models, and the thread that judges by the current one.

    Args:
        models: the folder that `current` is in.
        knobs: that are set otherwise than a model was made with.
        most: pictures that may wait.
        note: is told a line of what goes wrong beside requests.
    """

    def __init__(
        self,
        models: Path,
        *,
        knobs: Mapping[str, Any] | None = None,
        most: int = MOST,
        note: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.models, self.knobs, self.most, self.note = models, knobs, most, note
        self.inspector: Inspector | None = None
        self.trouble = ""  # why the current model is not the one that judges
        self._failed, self._failed_at = "", 0.0
        self._queue: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="judging", daemon=True)

    def start(self) -> None:
        """Open the current model, if there is one, and begin to judge.

        Raises:
            FedadError: it cannot be opened.
        """
        self._thread.start()
        self._begun.result()

    def stop(self) -> None:
        """End, once the picture that is judged has its verdict; those that wait are refused."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def queued(self) -> int:
        """Pictures that wait."""
        return len(self._queue)

    def check_ready(self, pictures: int = 1) -> Inspector:
        """The open model, if it has room for so many pictures more.

        Raises:
            RefusedError: 503, the queue is full or there is no model.
        """
        if self.inspector is None:
            raise busy(self.trouble or NO_MODEL, "model", 10)
        if self.queued + pictures > self.most:
            raise busy(f"{self.queued} pictures wait already: try again")
        return self.inspector

    def submit(
        self, uploads: Sequence[Upload], *, patient: bool = False
    ) -> list[Future[Inspection]]:
        """Have pictures judged in their order, all or none of them.

        Args:
            patient: wait in the queue however long it is, as one who brings a picture at a time.

        Raises:
            RefusedError: as `check_ready`.
        """
        with self._changed:
            if not patient:
                self.check_ready(len(uploads))
            if self._stopping:
                raise busy("the server ends", "model")
            waiting = [Waiting(upload, Future()) for upload in uploads]
            self._queue.extend(waiting)
            self._changed.notify()
        return [one.verdict for one in waiting]

    def wait_for(self, outcome: dict[str, Any]) -> dict[str, Any]:
        """Return what became of a model once it judges, if it shall: model, and accepted or not."""
        until = time.monotonic() + SETTLE
        while outcome.get("accepted", True) and time.monotonic() < until and not self._stopping:
            now = self.inspector.opened.name if self.inspector else ""
            if now == outcome["model"] or self.trouble:
                break
            time.sleep(0.02)
        return outcome

    def _run(self) -> None:
        try:
            self._open_current()
        except BaseException as error:
            self._begun.set_exception(error)
            return
        self._begun.set_result(None)
        while True:
            with self._changed:
                if not self._queue and not self._stopping:
                    self._changed.wait(LOOK)
                if self._stopping:
                    break
                one = self._queue.popleft() if self._queue else None
            self._refresh()
            if one is not None:
                self._judge(one)
        for one in self._queue:
            with suppress(Exception):  # who asked has gone
                one.verdict.set_exception(busy("the server ends", "model"))
        self._queue.clear()

    def _judge(self, one: Waiting) -> None:
        if not one.verdict.set_running_or_notify_cancel():
            return
        try:
            if self.inspector is None:
                raise busy(self.trouble or NO_MODEL, "model", 10)
            content, product, name = one.upload
            found = self.inspector.inspect(content, product, name)
        except BaseException as error:
            one.verdict.set_exception(error)
        else:
            one.verdict.set_result(found)

    def _refresh(self) -> None:
        """Take the model that is current now, if it is another one; else say why not."""
        try:
            self._open_current()
        except Exception as error:  # whatever is wrong with a file, the model before goes on
            line = str(error) if isinstance(error, FedadError | OSError) else repr(error)
            why = f"model {self._failed or 'current'} cannot be opened ({line})"
            if why != self.trouble:
                going = f"{self.inspector.opened.name} goes on" if self.inspector else "none judges"
                self.note(f"{why}: {going}")
            self.trouble = why

    def _open_current(self) -> None:
        """Open the current model unless it is open.

        Raises:
            Exception: it cannot be; the open one stays.
        """
        name = current(self.models)
        now = self.inspector.opened.name if self.inspector else None
        if name is None or name == now:
            self.trouble = "" if name == now else self.trouble
            return
        if name == self._failed and time.monotonic() < self._failed_at + AGAIN:
            return
        from fedad.inspection.opened import open_inspector

        try:
            inspector = open_inspector(self.models / name, self.knobs)
            inspector.warm()
        except BaseException:
            self._failed, self._failed_at = name, time.monotonic()
            raise
        self.inspector, self.trouble, self._failed = inspector, "", ""
        if now is not None:
            self.note(f"model {name} judges from now on, {now} did before")
