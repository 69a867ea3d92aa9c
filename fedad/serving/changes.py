"""What changes the models of a site: one thing at a time, and each through the gate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedad.errors import BusyError, DataError
from fedad.models.gate import Gate
from fedad.models.kept import Kept, kept_named
from fedad.models.store import accept, current, previous, resolve
from fedad.plumbing.files import write_atomic
from fedad.serving import verdict_log
from fedad.serving.work import ADD, REMOVE, Beside, told

NORMALS = "normals"  # below the models: pictures that were added, which models name by their places


class Changes:
    """The one that may write models.

    Args:
        models: the folder that `current` is in.
        policy: of the site, whose gate each change has to pass.
        knobs: of a first model.
    """

    def __init__(self, models: Path, policy: Path | None, knobs: Mapping[str, Any]) -> None:
        self.models, self.policy, self.knobs = models, policy, knobs
        self._one = threading.Lock()
        self._beside: Beside | None = None

    @property
    def log(self) -> Path:
        """Where operators' verdicts are."""
        return self.models / verdict_log.FILE

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other changes out.

        Raises:
            BusyError: one is under way.
        """
        if not self._one.acquire(blocking=False):
            raise BusyError("another change of the models is under way: wait for it")
        try:
            yield
        finally:
            self._one.release()

    def beside(
        self, note: Callable[[str], None] = lambda line: None, **task: Any
    ) -> dict[str, Any]:
        """Do a task in a process of its own; the caller is `alone`.

        Raises:
            FedadError: as the task does.
        """
        policy = str(self.policy.absolute()) if self.policy else ""
        here = {"models": str(self.models.absolute()), "policy": policy, "knobs": dict(self.knobs)}
        self._beside = Beside({**here, **task})
        try:
            return self._beside.run(note)
        finally:
            self._beside = None

    def stop(self) -> None:
        """End what is under way."""
        if (beside := self._beside) is not None:
            beside.stop()

    def preview(self, product: str, rate: float) -> dict[str, Any]:
        """What a wished rate would make of a threshold."""
        from fedad.models.rethreshold import preview

        kept = kept_named(self.models)
        return preview(kept, kept.config(), product, rate)

    def rethreshold(self, product: str, rate: float) -> dict[str, Any]:
        """Set a threshold by another wished rate."""
        from fedad.models.rethreshold import rethreshold

        with self.alone():
            return told(rethreshold(self.models, product, rate, Gate.at(self.policy)))

    def preview_verdicts(self, product: str) -> dict[str, Any]:
        """What operators' verdicts would make of a threshold."""
        from fedad.models.rethreshold import preview_verdicts

        kept, lines = kept_named(self.models), verdict_log.read(self.log)
        return preview_verdicts(kept, kept.config(), product, lines)

    def recalibrate(self, product: str) -> dict[str, Any]:
        """Move a threshold by operators' verdicts."""
        from fedad.models.rethreshold import recalibrate

        lines = verdict_log.read(self.log)
        with self.alone():
            return told(recalibrate(self.models, product, lines, Gate.at(self.policy)))

    def normals(self) -> dict[str, Any]:
        """The added normals, and how many rows they may have."""
        from fedad.models.extras import normals

        there = current(self.models) is not None
        known = normals(kept_named(self.models)) if there else []
        return {"normals": known, "cap": Gate.at(self.policy).extras}

    def add_normal(self, content: bytes, ending: str, product: str, name: str) -> dict[str, Any]:
        """Put a picture beside the model; its file stays as long as a model may name it.

        Args:
            ending: of its file, by what it is.
        """
        from hashlib import sha256

        with self.alone():
            place = self.models / NORMALS / f"{sha256(content).hexdigest()}{ending}"
            if is_new := not place.exists():
                write_atomic(place, content)
            try:
                return self.beside(
                    do=ADD, picture=str(place.absolute()), product=product, name=name
                )
            except Exception:
                if is_new:
                    place.unlink(missing_ok=True)
                raise

    def remove_normal(self, digest: str) -> dict[str, Any]:
        """Take an added normal away. Its file stays: models before this one name it."""
        with self.alone():
            return self.beside(do=REMOVE, sha256=digest)

    def accept(self, name: str) -> dict[str, Any]:
        """Let a model judge that waits.

        Raises:
            DataError: there is none.
        """
        with self.alone():
            kept = Kept(resolve(self.models, name))
            accept(self.models, kept.name)
            return {"model": kept.name}

    def rollback(self) -> dict[str, Any]:
        """Go back to the model before.

        Raises:
            DataError: there is none.
        """
        with self.alone():
            before = previous(self.models)
            if before is None:
                raise DataError(f"{self.models}: no model was accepted before the current one")
            accept(self.models, before)
            return {"model": before}
