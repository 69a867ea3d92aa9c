"""Verdicts for a person, a spreadsheet and a program, and the exit code that says the worst."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fedad.inspection.inspection import Inspection
from fedad.judging.verdict_words import AGAIN, NOK, UNREADABLE
from fedad.plumbing.files import append_line, cut_torn, flush_folder, private_file, private_folder
from fedad.plumbing.parse import from_json
from fedad.plumbing.shown import csv_text

COLUMNS = (
    "image",
    "product",
    "verdict",
    "reason",
    "score",
    "threshold",
    "p_value",
    "good_parts",
    "nearest_site",
    "nearest_distance",
    "place",
    "alike_image",
    "model",
)
EXIT_NOK, EXIT_AGAIN, EXIT_UNREADABLE = 10, 11, 3

Row = Mapping[str, Any]


def row_of(one: Inspection) -> dict[str, Any]:
    """What a verdict's line says."""
    return {**one.told(), "time": _now()}


def unreadable(name: str, why: str) -> dict[str, Any]:
    """The line of a file that cannot be read."""
    return {"image": name, "verdict": UNREADABLE, "reason": why, "time": _now()}


def exit_code(verdicts: Iterable[str]) -> int:
    """3 where a file could not be read, else 10 where a part is NOK, else 11 where a picture is to
    be taken again, else 0: only 0 releases all parts."""
    found = {*verdicts}
    for verdict, code in ((UNREADABLE, EXIT_UNREADABLE), (NOK, EXIT_NOK), (AGAIN, EXIT_AGAIN)):
        if verdict in found:
            return code
    return 0


def as_csv(rows: Iterable[Row]) -> str:
    """A row a picture; a place is `left top width height`, in pixels of the picture."""
    return csv_text(COLUMNS, ([_cell(row.get(name)) for name in COLUMNS] for row in rows))


def as_line(row: Row) -> str:
    """A JSON line."""
    return json.dumps(row, ensure_ascii=False)


class Lines:
    """A file of JSON lines that grows: each line is on disk, whole, when `add` returns.

    What a crash left of a last line is cut off.
    """

    def __init__(self, path: Path) -> None:
        private_folder(path.parent)
        self._path = private_file(path)
        self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        flush_folder(path.parent)
        cut_torn(self._file)

    def read(self) -> Iterator[dict[str, Any]]:
        """The lines that are there, one after the other; what is none of ours is left out."""
        with self._path.open("rb") as file:
            for line in file:
                with suppress(ValueError, TypeError):
                    yield dict(from_json(line))

    def add(self, row: Row) -> None:
        """Append a line. A name that is no Unicode has its bytes as JSON's own escapes."""
        append_line(self._file, f"{as_line(row)}\n".encode(errors="backslashreplace"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.9g}" if math.isfinite(value) else str(value)
    return value


def _now() -> str:
    """When a picture was judged: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
