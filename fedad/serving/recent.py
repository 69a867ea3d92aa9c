"""The last inspections, in memory: what is said of each, and of the newest the pictures too.

After a restart they are those that the log has, without pictures. Pictures become PNG files when
somebody looks at them. What is in memory is bounded by numbers and by bytes, whatever comes.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from fedad.inspection.inspection import Inspection
from fedad.inspection.overlay import as_png, overlay
from fedad.reporting.heatmap import colours

MOST, PICTURED = 200, 50  # inspections, and those of them that have pictures
MOST_BYTES = 2**27  # of the files that pictures came as
KINDS = ("picture", "heat", "overlay", "odd", "alike")
TEXTS = ("id", "sha256", "image", "product", "verdict", "model", "time")  # of every inspection
NEEDED = {*TEXTS, "score", "threshold"}


@dataclass
class Seen:
    """An inspection that is in memory.

    Args:
        told: what is said of it, all but its pictures and the operator's word.
        content: the file that it came as; None once it is too old.
        restored: whether it is of the log, and not of this process.
    """

    told: Mapping[str, Any]
    one: Inspection | None
    content: bytes | None
    operator: str | None = None
    drawn: dict[str, bytes] = field(default_factory=dict)
    restored: bool = False

    @property
    def id(self) -> str:
        return str(self.told["id"])

    def as_json(self) -> dict[str, Any]:
        """All that is said of it, with where its pictures are."""
        kinds = {kind: self._pixels(kind) is not None for kind in KINDS}
        urls = {
            kind: f"/v1/inspections/{self.id}/{kind}.png" if there else None
            for kind, there in kinds.items()
        }
        own = {"restored": True} if self.restored else {}
        return {**self.told, "pictures": urls, "operator": self.operator, **own}

    def png(self, kind: str) -> bytes | None:
        """One of its pictures; None where there is none, or none any more."""
        if kind not in self.drawn:
            draw = self._pixels(kind)
            if draw is None:
                return None
            self.drawn[kind] = as_png(draw())
        return self.drawn[kind]

    def forget(self) -> None:
        """Let the pictures go."""
        self.one, self.content = None, None
        self.drawn.clear()

    def _pixels(self, kind: str) -> Callable[[], Image.Image] | None:
        """What draws a picture of a kind, if there is one."""
        if (one := self.one) is None or kind not in KINDS:
            return None
        alike = one.alike.pixels if one.alike else None
        found: Mapping[str, np.ndarray | None] = {"odd": one.odd, "alike": alike}
        if kind == "overlay":
            return lambda: overlay(one)
        if kind == "heat":
            return lambda: Image.fromarray(colours(one.heat, one.scale))
        pixels = one.picture if kind == "picture" else found[kind]
        return None if pixels is None else lambda: Image.fromarray(pixels)


class Recent:
    """The last inspections, the newest last; may be used from any thread."""

    def __init__(self, most: int = MOST, pictured: int = PICTURED, most_bytes: int = MOST_BYTES):
        self.most, self.pictured, self.most_bytes = most, pictured, most_bytes
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._lock = Lock()

    def add(self, one: Inspection, content: bytes) -> Seen:
        """Remember an inspection; its id is of its picture and of when it was judged."""
        digest, now = sha256(content).hexdigest(), time.time_ns()
        height, width = one.size
        when = datetime.fromtimestamp(now / 1e9, UTC).isoformat(timespec="milliseconds")
        told = {
            **one.told(),
            "id": sha256(f"{digest} {now}".encode()).hexdigest()[:16],
            "sha256": digest,
            "time": when.replace("+00:00", "Z"),
            "recognised": one.recognised,
            "width": width,
            "height": height,
            "scale": [*one.scale],
        }
        seen = Seen(told, one, content)
        with self._lock:
            self._seen[seen.id] = seen
            self._forget()
        return seen

    def restore(self, rows: Iterable[Mapping[str, Any]], operators: Mapping[str, str]) -> None:
        """Begin with what a log has, the newest first; lines that are no inspections are left out.

        Args:
            operators: what was said of them, by their ids.
        """
        found = [row for row in rows if _is_inspection(row)][: self.most]
        with self._lock:
            for row in reversed(found):
                id_ = row["id"]
                seen = Seen(row, None, None, operators.get(id_), restored=True)
                self._seen.setdefault(id_, seen)

    def get(self, id_: str) -> Seen | None:
        """The inspection of this id, if it is still in memory."""
        with self._lock:
            return self._seen.get(id_)

    def last(self, number: int) -> list[Seen]:
        """The last ones, the newest first."""
        with self._lock:
            return list(reversed(self._seen.values()))[: max(0, number)]

    def _forget(self) -> None:
        """Keep within the bounds: of the oldest the pictures go first."""
        while len(self._seen) > self.most:
            self._seen.popitem(last=False)
        held = 0
        for number, seen in enumerate(reversed(self._seen.values())):
            held += len(seen.content or b"")
            if number >= self.pictured:
                seen.forget()
            elif held > self.most_bytes and number:
                seen.content = None


def _is_inspection(row: Mapping[str, Any]) -> bool:
    """Whether a line says what an operator's verdict is of, and what the strip shows."""
    return row.keys() >= NEEDED and all(isinstance(row[name], str) for name in TEXTS)
