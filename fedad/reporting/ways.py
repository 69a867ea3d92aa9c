"""One figure, a row a site or a product, a mark for each way of sharing: who gained and who lost.

Colour and shape both tell the ways apart: without colour vision, and on paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fedad.reporting.drawing import Axis, Drawing, Frame
from fedad.reporting.plots import Plot
from fedad.reporting.record import number
from fedad.reporting.table import ISOLATED

FEDERATED, CENTRALISED = "federated", "centralised"
COLOUR = {ISOLATED: "c1", FEDERATED: "c0", CENTRALISED: "c2"}  # others: c3
ROW, LETTER = 20, 6.4  # height of a row; width of a letter
ACROSS = 190  # width of the axis
NOTE = {"gained": "c2", "lost": "c1"}  # colour of what stands at the end of a row


class Row(NamedTuple):
    """A site or a product: its name, its figure by way of sharing, and a word on it."""

    name: str
    values: Mapping[str, Mapping[str, Any]]
    note: str = ""
    answer: str = ""


def by_way(
    name: str,
    title: str,
    rows: Sequence[Row],
    *,
    about: float | None = None,
    about_name: str = "",
    axis: str = "",
    percent: bool = False,
) -> Plot:
    """A dot a way of sharing in each row, and the interval of the federated one.

    Args:
        rows: values NaN or None where there are none; they are left out.
        about: a value to mark, such as the one that was promised, and its name.
        percent: shares are written in percent.
    """
    ways = list(dict.fromkeys(way for row in rows for way in row.values))
    names = max([4, *(len(row.name) for row in rows)])
    notes = max([0, *(len(row.note) for row in rows)])
    left, top, height = 14 + LETTER * names, 52, ROW * max(1, len(rows))
    width = left + ACROSS + (14 + LETTER * notes if notes else 14)
    drawing = Drawing(max(width, left + 290), top + height + 42, title)
    drawing.text(0, 10, title, "start", font_weight=600)
    _legend(drawing, ways, about_name)
    frame = Frame(left, top, ACROSS, height, _axis(rows, about, axis), Axis(0, 1, "", ticks=()))
    _grid(drawing, frame, percent=percent)
    if about is not None:
        x = frame.at(about, 0)[0]
        drawing.line([(x, top), (x, top + height)], "ink", stroke_dasharray="4 3")
    for k, row in enumerate(rows):
        _row(drawing, frame, top + ROW * (k + 0.5), row)
    told = [
        (row.name, way, *(number(one.get(end)) for end in ("value", "low", "high")), row.note)
        for row in rows
        for way, one in row.values.items()
    ]
    return Plot(name, drawing, ("name", "way", "value", "low", "high", "note"), told)


def _row(drawing: Drawing, frame: Frame, y: float, row: Row) -> None:
    drawing.text(frame.left - 8, y, row.name, "end")
    known = {w: v for w, one in row.values.items() if not math.isnan(v := number(one["value"]))}
    if len(known) > 1:
        ends = [(frame.at(end, 0)[0], y) for end in (min(known.values()), max(known.values()))]
        drawing.line(ends, "grid", stroke_width=4)
    low, high = (number(_shown(row).get(end)) for end in ("low", "high"))
    if not math.isnan(low) and not math.isnan(high):
        ends = [(frame.at(end, 0)[0], y) for end in (low, high)]
        drawing.line(ends, COLOUR[FEDERATED], stroke_width=1.5)
    for way, value in known.items():
        mark(drawing, way, frame.at(value, 0)[0], y)
    if not known:
        drawing.text(frame.left + 6, y, "nothing to rank", "start", fill="var(--soft)")
    if row.note:
        colour = NOTE.get(row.answer, "soft")
        at = frame.left + frame.width + 10
        drawing.text(at, y, row.note, "start", fill=f"var(--{colour})", font_size=11)


def _shown(row: Row) -> Mapping[str, Any]:
    """The figure of a row that an interval is drawn of: the federated one, or the only one."""
    return row.values.get(FEDERATED) or next(iter(row.values.values()), {})


def mark(drawing: Drawing, way: str, x: float, y: float) -> None:
    """The mark of a way of sharing: a ring, a disc or a diamond."""
    colour = COLOUR.get(way, "c3")
    if way == ISOLATED:
        drawing.circle(x, y, 4, "paper", stroke=f"var(--{colour})", stroke_width=2)
    elif way == CENTRALISED:
        corners = " ".join(
            f"{x + a:.1f},{y + b:.1f}" for a, b in ((0, -5), (5, 0), (0, 5), (-5, 0))
        )
        drawing.add("polygon", points=corners, fill=f"var(--{colour})")
    else:
        drawing.circle(x, y, 4.5, colour)


def _legend(drawing: Drawing, ways: Iterable[str], about: str) -> None:
    x = 6.0
    for way in ways:
        mark(drawing, way, x, 30)
        drawing.text(x + 9, 30, way, "start", font_size=11, fill="var(--soft)")
        x += 22 + LETTER * len(way)
    if about:
        drawing.line([(x, 25), (x, 36)], "ink", stroke_dasharray="4 3")
        drawing.text(x + 7, 30, about, "start", font_size=11, fill="var(--soft)")


def _grid(drawing: Drawing, frame: Frame, *, percent: bool) -> None:
    """Vertical lines with their values below; rows have names, and need no axis."""
    bottom = frame.top + frame.height
    for value in frame.x.marks():
        x = frame.at(value, 0)[0]
        drawing.line([(x, frame.top), (x, bottom)], "grid")
        told = f"{100 * value:.0f} %" if percent else format(value, ".2g")
        drawing.text(x, bottom + 13, told, fill="var(--soft)", font_size=11)
    if frame.x.label:
        at = frame.left + frame.width / 2
        drawing.text(at, bottom + 30, frame.x.label, fill="var(--soft)", font_size=11)


def _axis(rows: Sequence[Row], about: float | None, label: str) -> Axis:
    """An axis from a round number below all values to one above them."""
    ends = [(_shown(row), end) for row in rows for end in ("low", "high")]
    some = [number(one["value"]) for row in rows for one in row.values.values()]
    some += [number(one.get(end)) for one, end in ends] + [math.nan if about is None else about]
    known = [value for value in some if not math.isnan(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = 0.05 * (high - low) or 0.05
    return Axis(max(0.0, low - room), min(1.0, high + room), label)
