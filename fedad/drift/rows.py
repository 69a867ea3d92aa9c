"""The JSON lines of `fedad inspect` -> pictures with a day, a site and a product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fedad.drift.streams import STREAMS
from fedad.errors import DataError
from fedad.inspection.inspection import AGAIN, UNREADABLE
from fedad.plumbing.parse import from_json

LINES = ".jsonl"


@dataclass(frozen=True)
class Picture:
    """A judged picture; `values` are those of `streams.STREAMS`, NaN where there is none."""

    day: date
    site: str
    product: str
    model: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Pictures:
    """Pictures of lines, and how many lines were left out, why."""

    seen: tuple[Picture, ...]
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
    seen, left_out = list[Picture](), Counter[str]()
    for row in rows:
        day = _day(row)
        if row.get("verdict") == UNREADABLE:
            left_out["no picture"] += 1
        elif day is None:
            left_out["no time"] += 1
        else:
            seen.append(_picture(row, day))
    return Pictures(tuple(seen), dict(left_out))


def read_rows(what: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of JSON lines, or of all such files below a folder; a row's site is called
    as the folder directly below it that its file is in.

    Raises:
        DataError: no such file, or none in the folder.
    """
    files = [what] if what.is_file() else sorted(what.rglob(f"*{LINES}")) if what.is_dir() else []
    if not files:
        raise DataError(
            f"{what}: no file of JSON lines: expected one as fedad inspect --jsonl or --watch "
            f"writes it, or a folder of such (*{LINES})"
        )
    for file in files:
        place = file.relative_to(what).parts if what.is_dir() else ()
        site = place[0] if len(place) > 1 else ""
        with file.open("rb") as lines:
            for line in lines:
                with suppress(ValueError, TypeError):  # somebody else's line, or a torn one
                    row = dict(from_json(line))
                    yield {**row, "site": row.get("site") or site}


def _picture(row: Mapping[str, Any], day: date) -> Picture:
    again = row.get("verdict") == AGAIN
    values = tuple(float("nan") if again and one.by_model else one.of(row) for one in STREAMS)
    site, product, model = (f"{row.get(name) or ''}" for name in ("site", "product", "model"))
    return Picture(day, site, product, model, values)


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
