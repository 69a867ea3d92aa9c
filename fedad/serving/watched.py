"""A folder that a camera writes into, watched beside the requests: one queue and one model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from fedad.errors import FedadError
from fedad.images.pixels import read_file
from fedad.images.reading import reading_of
from fedad.inspection.hot_folder import HotFolder
from fedad.inspection.inspection import Inspection
from fedad.inspection.inspector import Inspector
from fedad.judging.verdict_words import UNREADABLE
from fedad.serving.metrics import ERRORS
from fedad.serving.refusals import RefusedError
from fedad.serving.served import Upload
from fedad.serving.state import Serving

AGAIN = 5.0  # seconds until a folder that could not be watched is tried again


class InQueue:
    """Stands for an inspector: whose pictures wait in the server's queue, and are remembered."""

    def __init__(self, serving: Serving, stopped: Callable[[], bool]) -> None:
        self.serving, self.stopped = serving, stopped

    def product_of(self, product: str) -> str:
        """As `Inspector.product_of`, by the model that judges now."""
        return self._inspector().product_of(product)

    def inspect(self, picture: Path, product: str, name: str, /) -> Inspection:
        """As `Inspector.inspect`, once the picture's turn has come."""
        content = read_file(picture, reading_of(self._inspector().opened.config.data))
        # The folder may have been opened under another model: what it is of is asked anew.
        upload = Upload(content, self.serving.product, name)
        (verdict,) = self.serving.served.submit([upload], patient=True)
        found = verdict.result()
        self.serving.record(found, content, watched=picture.parent.name)  # its line's id there
        return found

    def _inspector(self) -> Inspector:
        """The model that judges; waits until there is one."""
        while (inspector := self.serving.served.inspector) is None:
            if self.stopped():
                raise RefusedError(503, "the server ends", "model")
            time.sleep(0.1)
        return inspector


class Watched:
    """A thread that watches a folder until it is told to stop."""

    def __init__(self, folder: Path, serving: Serving, note: Callable[[str], None]) -> None:
        self.folder, self.serving, self.note = folder, serving, note
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End once the picture that is judged has moved on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _run(self) -> None:
        stopped = self._stopping.is_set
        while not stopped():
            hot = HotFolder(self.folder, InQueue(self.serving, stopped), self.serving.product)
            try:
                for row in hot.watch(self._goes_on):
                    if row["verdict"] == UNREADABLE:
                        self.serving.metrics.count(ERRORS, kind="picture")
                        self.note(f"{self.folder}: {row['reason']}")
            except RefusedError:
                pass  # the server ends
            except (FedadError, OSError) as error:
                self._say(f"{self.folder} is not watched ({error}): trying again")
            except Exception as error:
                self._say(f"{self.folder} is not watched ({type(error).__name__}: {error})")
            self._stopping.wait(AGAIN)

    def _goes_on(self) -> bool:
        """Whether to stop, asked between pictures: the folder is watched then."""
        self.serving.notes.pop("watch", None)
        return self._stopping.is_set()

    def _say(self, why: str) -> None:
        """One line for however many tries fail alike; `/ready` says it as long as it is so."""
        if self.serving.notes.get("watch") != why:
            self.note(why)
        self.serving.notes["watch"] = why
        self.serving.metrics.count(ERRORS, kind="watch")
