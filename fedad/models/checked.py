"""What a model says of a site's own pictures: the table that acceptance is decided by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fedad.errors import DataError
from fedad.judging.thresholds import Threshold
from fedad.judging.verdicts import Verdict
from fedad.plumbing.files import read_json, write_json
from fedad.types import GOOD

FILE = "checked.json"


@dataclass(frozen=True)
class Checked:
    """One of a site's own pictures as a model judges it; `limit` is NaN where there is none.

    `rests` says whether the threshold rests on this very picture, and `near` whose row is nearest
    to its oddest patch, where that is known.
    """

    name: str
    product: str
    defect: str
    score: float
    limit: float
    rests: bool = False
    near: str = ""

    @property
    def is_good(self) -> bool:
        return self.defect == GOOD

    @property
    def stopped(self) -> bool:
        return self.score > self.limit


class Watch:
    """Sees each verdict once as it passes, and keeps what acceptance takes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, float, str]] = []

    def watch(self, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
        """Pass every verdict on."""
        for one in verdicts:
            sample, near = one.sample, one.trace.oddest if one.trace else ""
            row = (sample.name, sample.category, sample.defect, one.scored.image_score, near)
            self.seen.append(row)
            yield one


def checked(watch: Watch, thresholds: Mapping[str, Threshold]) -> list[Checked]:
    """The good parts that thresholds rest on, and the test images that were judged."""
    found = [
        Checked(one.image, product, GOOD, one.score, limit.limit(one.site), True, one.site)
        for product, limit in sorted(thresholds.items())
        for one in limit.good
    ]
    for name, product, defect, score, near in watch.seen:
        limit_of = thresholds.get(product)
        limit = limit_of.limit(near) if limit_of else math.nan
        found.append(Checked(name, product, defect, score, limit, near=near))
    return found


def held_to(found: Iterable[Checked], product: str, limit: Threshold) -> list[Checked]:
    """The same pictures, those of one product held against another threshold."""
    return [
        replace(one, limit=limit.limit(one.near)) if one.product == product else one
        for one in found
    ]


def write_checked(folder: Path, found: Iterable[Checked]) -> None:
    """Write the table; numbers that JSON lacks are words or null.

    Whose rows are nearest stands beside the rows: version 0.1 knows no such column.
    """
    rows = [{**asdict(one), "limit": _plain(one.limit)} for one in found]
    near = [row.pop("near") for row in rows]
    write_json(folder / FILE, {"pictures": rows, "near": near})


def read_checked(folder: Path) -> list[Checked]:
    """The table of a model that is kept; empty where none was written.

    Raises:
        DataError: it is not what `write_checked` wrote.
    """
    if not (folder / FILE).exists():
        return []
    told = read_json(folder / FILE, "how a model judged a site's own pictures")
    try:
        near = [str(one) for one in told.get("near", [])]
        near += [""] * (len(told["pictures"]) - len(near))  # of version 0.1, or of rows put in
        return [
            Checked(
                **{
                    "near": whose,
                    **row,
                    "limit": math.nan if row["limit"] is None else float(row["limit"]),
                }
            )
            for row, whose in zip(told["pictures"], near, strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / FILE}: not such a table ({error!r})") from error


def _plain(value: float) -> Any:
    return str(value) if math.isinf(value) else value
