"""What was run: the matrix in its author's words, its points, and what its cells took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.reporting.comparison.words import Comparison
from fedad.reporting.markup import NONE, Section, details, paragraph, table
from fedad.reporting.shown_run import Found


def matrix(comparison: Comparison) -> Found:
    """The plan's purpose, seconds in all, a line a point, and a line a cell."""
    plan, cells = comparison["plan"], comparison["cells"]
    body = [paragraph(part.replace("\n", " ")) for part in _prose(plan["purpose"])]
    body.append(
        paragraph(
            f"{len(plan['points'])} points, seeds {', '.join(map(str, plan['seeds']))}, yardsticks "
            f"{', '.join(plan['yardsticks']) or 'none'}: {len(cells)} cells, which took "
            f"{sum(_seconds_once(cells).values()):,.0f} seconds in all."
        )
    )
    if embedding := comparison["features"]:
        body.append(
            paragraph(
                f"Before them, embedding all {embedding['images']:,} images into the cache took "
                f"{embedding['seconds']:,.0f} seconds, which are in no cell's."
            )
        )
    rows = [[point["label"], *_varied(plan, point)] for point in plan["points"]]
    axes = _axes(plan)
    body.append(table(["point", *axes], rows, words=range(1, 1 + len(axes))))
    took = [[c["treatment"], str(c["seed"]), f"{c['seconds']:.1f}", c["folder"]] for c in cells]
    body.append(details("Cells", table(["", "seed", "seconds", "folder"], took, words=(3,))))
    return Section("run", "What was run", "".join(body)), []


def _prose(purpose: str) -> Iterator[str]:
    """The paragraphs of the file's opening that are prose, not commands."""
    return (part for part in purpose.split("\n\n") if not part.startswith("fedad "))


def _seconds_once(cells: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds by cell: one that points share took its time once."""
    return {cell["key"]: cell["seconds"] for cell in cells}


def _axes(plan: Mapping[str, Any]) -> list[str]:
    """The knobs in which points differ."""
    keys = dict.fromkeys(key for point in plan["points"] for key in point["knobs"])
    return [k for k in keys if len({p["knobs"].get(k) for p in plan["points"]}) > 1]


def _varied(plan: Mapping[str, Any], point: Mapping[str, Any]) -> list[str]:
    return [str(point["knobs"].get(key, NONE)) for key in _axes(plan)]
