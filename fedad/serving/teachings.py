"""Teaching from the page: good pictures are collected, and then a model is made of them.

    models/taught/<id>/0001-part.png    the pictures; a model that was made of them names them

What is collected is gone when the server ends; what a model was made of stays.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from fedad.errors import BusyError, FedadError
from fedad.evaluation import least_rate
from fedad.images.files import ENDINGS
from fedad.inspection.picture import image_of
from fedad.plumbing.files import is_name, private_folder, write_atomic
from fedad.serving.changes import Changes
from fedad.serving.refusals import RefusedError, bad, unknown
from fedad.serving.served import Served
from fedad.serving.told import RATES
from fedad.serving.work import TEACH
from fedad.types import Reading

TAUGHT = "taught"
MOST = 8  # teachings at a time
MOST_PICTURES = 1000  # of one
MOST_BYTES = 2 * 2**30  # of one
COLLECTING, LEARNING, DONE, REFUSED = "collecting", "learning", "done", "refused"


@dataclass
class Teaching:
    """A product or a variant that is taught."""

    id: str
    product: str
    folder: Path
    digests: set[str] = field(default_factory=set)
    bytes: int = 0
    state: str = COLLECTING
    told: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """How it stands."""
        return {
            "state": self.state,
            "product": self.product,
            "pictures": len(self.digests),
            "enough_for": enough_for(len(self.digests)),
            "told": self.told,
            "model": self.outcome.get("model"),
            "accepted": self.outcome.get("accepted"),
            "reasons": self.outcome.get("reasons", []),
        }


def enough_for(parts: int) -> float | None:
    """The smallest of the rates on offer that so many good parts can promise; None: none."""
    return next((rate for rate in RATES if parts and rate >= least_rate(parts)), None)


class Teachings:
    """All that is taught at the moment."""

    def __init__(self, changes: Changes, served: Served, note: Callable[[str], None]) -> None:
        self.changes, self.served, self.note = changes, served, note
        self._all: dict[str, Teaching] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, product: str) -> Teaching:
        """Begin to collect pictures of a product.

        Raises:
            RefusedError: a name that no product may have, or too many at a time.
        """
        if not is_name(product):
            raise bad(f"product {product!a:.80}: expected a name that a folder may have")
        with self._lock:
            if sum(one.state in (COLLECTING, LEARNING) for one in self._all.values()) >= MOST:
                raise RefusedError(
                    409, f"{MOST} products are being taught: end one of them", "busy"
                )
            id_ = secrets.token_hex(8)
            folder = private_folder(self.changes.models / TAUGHT / id_)
            self._all[id_] = Teaching(id_, product, folder)
            return self._all[id_]

    def get(self, id_: str) -> Teaching:
        """A teaching by its id.

        Raises:
            RefusedError: 404.
        """
        if (found := self._all.get(id_)) is None:
            raise unknown(f"nothing is taught under {id_!a:.40}: the server may have begun anew")
        return found

    def add(self, id_: str, content: bytes, name: str, reading: Reading) -> Teaching:
        """One more picture; one that is there already counts once.

        Raises:
            BadFileError: no picture.
            RefusedError: it learns already, or has as many as it may.
        """
        one = self.get(id_)
        ending, digest = ending_of(content, name, reading), sha256(content).hexdigest()
        with self._lock:
            self._check_collects(one)
            if digest in one.digests:
                return one
            if len(one.digests) >= MOST_PICTURES or one.bytes + len(content) > MOST_BYTES:
                raise bad(f"{len(one.digests)} pictures are as many as are taught at once")
            stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name.rpartition(".")[0] or name)[:60]
            write_atomic(one.folder / f"{len(one.digests) + 1:04d}-{stem}{ending}", content)
            one.digests.add(digest)
            one.bytes += len(content)
        return one

    def learn(self, id_: str, rate: float) -> Teaching:
        """Begin to learn from what was collected.

        Raises:
            RefusedError: there is no picture.
            BusyError: another change of the models is under way.
        """
        one = self.get(id_)
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise BusyError("another product is learned at the moment: wait for it")
            self._check_collects(one)
            if not one.digests:
                raise bad("no picture was added yet: good ones of the product are needed")
            one.state, one.told = LEARNING, "waiting"
            self._thread = threading.Thread(target=self._learn, args=(one, rate), daemon=True)
            self._thread.start()
        return one

    def forget(self, id_: str) -> None:
        """Drop a teaching; one that learns is ended. What a model was made of stays on disk."""
        one = self.get(id_)
        if one.state == LEARNING:
            self.changes.stop()
        with self._lock:
            self._all.pop(id_, None)
        if one.state in (COLLECTING, REFUSED):
            shutil.rmtree(one.folder, ignore_errors=True)

    def stop(self) -> None:
        """End all; pictures that no model was made of are removed."""
        self.changes.stop()
        if self._thread is not None:
            self._thread.join(5.0)
        for id_ in [*self._all]:
            with suppress(RefusedError):
                self.forget(id_)

    def _check_collects(self, one: Teaching) -> None:
        if one.state not in (COLLECTING, REFUSED):
            raise RefusedError(409, f"{one.product}: it is {one.state} already", "busy")

    def _learn(self, one: Teaching, rate: float) -> None:
        def told(line: str) -> None:
            one.told = line

        try:
            with self.changes.alone():
                folder = str(one.folder.absolute())
                one.outcome = self.changes.beside(
                    told, do=TEACH, folder=folder, product=one.product, rate=rate
                )
        except (FedadError, OSError) as error:
            one.told, one.state = str(error).replace(f"{one.folder}/", ""), REFUSED
        else:
            self.served.wait_for(one.outcome)
            one.state = DONE
            one.told = f"model {one.outcome['model']} " + (
                "judges from now on" if one.outcome["accepted"] else "waits"
            )
        self.note(f"{one.product}: {one.told}")


def ending_of(content: bytes, name: str, reading: Reading) -> str:
    """The ending that a picture's file should have, once it was read whole.

    Raises:
        BadFileError: it is no picture.
    """
    import io

    from PIL import Image

    image_of(content, Path(name), reading)
    with Image.open(io.BytesIO(content)) as image:
        kind = "JPEG" if image.format == "MPO" else image.format
    return ENDINGS.get(kind or "", (".png",))[0]
