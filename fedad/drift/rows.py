"""The JSON lines of `fedad inspect` and `fedad serve` -> pictures by day, site and product."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from fedad.drift.streams import STREAMS
from fedad.errors import DataError
from fedad.judging.verdict_words import AGAIN, UNREADABLE
from fedad.plumbing.parse import from_json

LINES = ".jsonl"
INSPECTED = "inspected"  # below a site's models: what its server judged, a file a day
MODELS, SITES = "models", "sites"  # folders of a site and of a run, which no site is called by
# In a server's line: which line of a watched folder's own log is of the same picture.
WATCHED = "watched"


@dataclass(frozen=True, eq=False)
class Judged:
    """Pictures of one day, site, product and model.

    `values` (n, 4) float64 are those of `streams.STREAMS`, NaN where there is none.
    """

    day: date
    site: str
    product: str
    model: str
    values: np.ndarray


@dataclass(frozen=True)
class Pictures:
    """What lines are of, and how many lines were left out, why."""

    seen: tuple[Judged, ...]
    left_out: Mapping[str, int]

    def only(self, *, since: date | None, model: str, product: str) -> Pictures:
        """Those from a day on, by a model and of a product, where these are told."""
        kept = tuple(
            one
            for one in self.seen
            if (since is None or one.day >= since)
            and product in ("", one.product)
            and model in ("", one.model)
        )
        return replace(self, seen=kept)


def pictures_of(rows: Iterable[Mapping[str, Any]]) -> Pictures:
    """The pictures of rows as `fedad inspect` writes them; `site` is a row's own, if it has one.

    A picture that is to be taken again counts by how it looks, and not by how odd it is: it was
    not judged.
    """
    seen: dict[tuple[date, str, str, str], array[float]] = defaultdict(_numbers)
    left_out = Counter[str]()
    for row in rows:
        day = _day(row)
        if row.get("verdict") == UNREADABLE:
            left_out["no picture"] += 1
        elif day is None:
            left_out["no time"] += 1
        else:
            site, product, model = (f"{row.get(name) or ''}" for name in _NAMES)
            seen[day, site, product, model].extend(_values(row))
    found = (
        Judged(*key, np.array(values).reshape(-1, len(STREAMS))) for key, values in seen.items()
    )
    return Pictures(tuple(found), dict(left_out))


def read_rows(what: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines, or of all such files below a folder; a row's site is called
    as the folder directly below it that its file is in.

    A picture of a watched folder that its server's log has as well comes once; operators' verdicts
    and other programs' lines do not.

    Raises:
        DataError: no such file, or none in the folder.
    """
    files = [what] if what.is_file() else sorted(what.rglob(f"*{LINES}")) if what.is_dir() else []
    if not files:
        raise DataError(
            f"{what}: no file of JSON lines: expected one as fedad inspect --jsonl or --watch "
            f"writes it, or a folder of such (*{LINES}), as fedad serve fills {INSPECTED}/"
        )
    twins = set[tuple[str, str]]()
    for file in sorted(files, key=lambda one: one.parent.name != INSPECTED):
        site = _site(file.relative_to(what).parts if what.is_dir() else ())
        for row in _rows(file):
            twin = site, f"{row.get(WATCHED) or row.get('id')}"
            if twin not in twins:
                yield {**row, "site": row.get("site") or site}
            if row.get(WATCHED):
                twins.add(twin)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that say what was judged."""
    with file.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, TypeError):  # somebody else's line, or a torn one
                row = dict(from_json(line))
                if "verdict" in row and "operator" not in row:
                    yield row


def _site(place: tuple[str, ...]) -> str:
    """The site of a file, by the folders that lead to it from the one that was named."""
    folders = [*place[:-1]]
    if folders[:1] == [SITES]:  # of a run
        del folders[0]
    return folders[0] if folders and folders[0] not in (MODELS, INSPECTED) else ""


_NAMES = ("site", "product", "model")


def _numbers() -> array[float]:
    return array("d")


def _values(row: Mapping[str, Any]) -> list[float]:
    again = row.get("verdict") == AGAIN
    return [float("nan") if again and one.by_model else one.of(row) for one in STREAMS]


def _day(row: Mapping[str, Any]) -> date | None:
    """The day (UTC) of a row; of one from before rows had a time, by the stamp of a watched
    folder."""
    told, stamp = row.get("time"), f"{row.get('id', '')}".partition("~")[0]
    try:
        if isinstance(told, str):
            when = datetime.fromisoformat(told)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).date()
        return datetime.fromtimestamp(int(stamp) / 1e9, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
