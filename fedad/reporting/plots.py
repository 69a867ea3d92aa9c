"""What is drawn of a run: curves, scores, intervals and bytes; each also as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedad.plumbing.files import write_atomic
from fedad.plumbing.shown import csv_text
from fedad.reporting.drawing import DASHES, SERIES, Axis, Drawing, Frame
from fedad.reporting.markup import Html, html

RATES = (0.01, 0.05, 0.1, 0.3)  # the limits that AUC-sPRO is read at
LOWEST = 1e-4  # false-positive rate where the logarithmic axis begins
MANY = 8  # columns of a matrix, beyond which their names are turned
POINTS = 240  # of a curve that is drawn


@dataclass(frozen=True)
class Plot:
    """A drawing, the numbers in it, and what it is called among the files."""

    name: str
    drawing: Drawing
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    def figure(self, caption: object = "") -> Html:
        words = f"<figcaption>{html(caption)}</figcaption>" if caption else ""
        return Html(f"<figure>{self.drawing.svg()}{words}</figure>")

    def write(self, folder: Path) -> None:
        """`<name>.svg` and `<name>.csv`."""
        write_atomic(folder / f"{self.name}.svg", self.drawing.svg(alone=True), flush=False)
        write_atomic(folder / f"{self.name}.csv", csv_text(self.columns, self.rows), flush=False)


def side_by_side(plots: Sequence[Plot]) -> Html:
    """Several plots in a row, as far as the page is wide."""
    return Html(f'<div class="plots">{"".join(plot.figure() for plot in plots)}</div>')


def fpr_spro(category: str, columns: Mapping[str, np.ndarray], areas: Mapping[str, str]) -> Plot:
    """Mean coverage of the regions against the false-positive rate, the four limits marked.

    Args:
        areas: what the area below the curve is up to each limit, to write beside it.
    """
    drawing = Drawing(500, 330, f"{category}: sPRO against the false-positive rate")
    axis = Axis(LOWEST, 1, "false-positive rate of pixels (limits marked)", log=True)
    frame = Frame(48, 40, 430, 236, axis, Axis(0, 1, f"{category}: sPRO"))
    frame.draw(drawing)
    for rate in RATES:
        at, top = frame.at(rate, 1)
        drawing.line([(at, top), (at, top + frame.height)], "c1", stroke_dasharray="4 3")
        drawing.text(at, top - 9, f"{rate:g}", fill="var(--c1)", font_size=10)
        told = areas.get(f"auc_spro_{rate}", "")
        drawing.text(at - 4, top + frame.height - 9, told, "end", font_size=10, fill="var(--c1)")
    x, y = columns["fpr"], columns["spro"]
    rows: list[tuple[float, float]] = []
    if not (np.isnan(x).any() or np.isnan(y).any()):
        rows = _thinned(x, y, lambda fpr: math.log10(max(fpr, LOWEST)))
        shown = [(max(a, LOWEST), b) for a, b in rows]
        drawing.line([frame.at(*pair) for pair in shown], "c0", stroke_width=2)
    return Plot(f"fpr_spro-{category}", drawing, ("fpr", "spro"), rows)


def roc(category: str, columns: Mapping[str, np.ndarray]) -> Plot:
    """The image and the pixel ROC of one category."""
    drawing = Drawing(500, 330, f"{category}: ROC")
    frame = Frame(
        48, 40, 430, 236, Axis(0, 1, "false-positive rate"), Axis(0, 1, f"{category}: found")
    )
    frame.draw(drawing)
    drawing.line([frame.at(0, 0), frame.at(1, 1)], "soft", stroke_dasharray="2 4")
    rows: list[tuple[str, float, float]] = []
    for k, (name, fpr, tpr) in enumerate(
        (("image", "image_fpr", "image_tpr"), ("pixel", "fpr", "tpr"))
    ):
        x, y = columns[fpr], columns[tpr]
        at = frame.at(0.62, 0.2 - 0.1 * k)
        drawing.line([at, (at[0] + 26, at[1])], f"c{k}", stroke_width=2, stroke_dasharray=DASHES[k])
        drawing.text(at[0] + 32, at[1], f"{name}s", "start")
        if not (np.isnan(x).any() or np.isnan(y).any()):
            points = _thinned(x, y, lambda value: value)
            rows += [(name, a, b) for a, b in points]
            line = [frame.at(*pair) for pair in points]
            drawing.line(line, f"c{k}", stroke_width=2, stroke_dasharray=DASHES[k])
    return Plot(f"roc-{category}", drawing, ("of", "fpr", "tpr"), rows)


def _thinned(x: np.ndarray, y: np.ndarray, scale: Any) -> list[tuple[float, float]]:
    """The points of a curve that a drawing can tell apart: no two nearer than a few hundredths."""
    kept = [(float(x[0]), float(y[0]))]
    last = (scale(kept[0][0]), kept[0][1])
    whole = abs(scale(float(x[-1])) - last[0]) or 1.0
    for a, b in zip(map(float, x), map(float, y), strict=True):
        here = (scale(a), b)
        if abs(here[0] - last[0]) > 2 * whole / POINTS or abs(b - last[1]) > 2 / POINTS:
            kept.append((a, b))
            last = here
    return [*kept, (float(x[-1]), float(y[-1]))]


def intervals(
    name: str,
    title: str,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    axis: str,
    band: float = 0.0,
    about: float | None = None,
) -> Plot:
    """A dot and its interval a row.

    Args:
        rows: names, and each one's value, low and high; NaN or None where there is none.
        band: a stretch of so much on both sides of `about` is shaded.
        about: a value to mark, such as no difference.
    """
    left, height = 12 + 6.6 * max([12, *(len(label) for label, _ in rows)]), 22 * len(rows)
    drawing = Drawing(left + 420, height + 78, title)
    x = _axis_for([one for _, one in rows], axis, about, band)
    frame = Frame(left, 32, 390, height, x, Axis(0, 1, "", ticks=()))
    if about is not None and band:
        low, high = frame.at(about - band, 1)[0], frame.at(about + band, 1)[0]
        drawing.rect(low, frame.top, high - low, height, "band")
    frame.draw(drawing)
    if about is not None:
        at = frame.at(about, 1)[0]
        drawing.line([(at, frame.top), (at, frame.top + height)], "soft")
    drawing.text(0, 12, title, "start", font_weight=600)
    for k, (label, one) in enumerate(rows):
        _dot(drawing, frame, frame.top + 22 * k + 11, label, one)
    told = [
        (label, *(_number(one.get(n)) for n in ("value", "low", "high"))) for label, one in rows
    ]
    return Plot(name, drawing, ("name", "value", "low", "high"), told)


def _dot(drawing: Drawing, frame: Frame, y: float, label: str, one: Mapping[str, Any]) -> None:
    drawing.text(frame.left - 10, y, label, "end")
    value, low, high = (_number(one.get(name)) for name in ("value", "low", "high"))
    if math.isnan(value):
        drawing.text(frame.left + 8, y, "nothing to rank", "start", fill="var(--soft)")
        return
    if not math.isnan(low):
        ends = [(frame.at(end, 0)[0], y) for end in (low, high)]
        drawing.line(ends, "c0", stroke_width=2)
        for x, _ in ends:
            drawing.line([(x, y - 4), (x, y + 4)], "c0", stroke_width=2)
    drawing.circle(frame.at(value, 0)[0], y, 4, "c0")


def _axis_for(
    some: Sequence[Mapping[str, Any]], label: str, about: float | None, band: float
) -> Axis:
    """An axis that holds all values and intervals, with a little room."""
    values = [_number(one.get(name)) for one in some for name in ("value", "low", "high")]
    values += [] if about is None else [about - band, about + band]
    known = [value for value in values if not math.isnan(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.06 * (high - low) or 0.01
    top = high + room if about is not None else min(1.0, high + room)
    return Axis(low - room if about is not None else max(0.0, low - room), top, label, form=".3g")


def bars(name: str, title: str, rows: Sequence[tuple[str, float]], unit: str) -> Plot:
    """Amounts on a logarithmic axis: what is ten times as long is ten times as much."""
    known = [value for _, value in rows if value > 0] or [1.0]
    low, high = (
        10 ** math.floor(math.log10(min(known)) - 0.01),
        10 ** math.ceil(math.log10(max(known))),
    )
    height, left = 26 * len(rows), 12 + 6.6 * max(len(label) for label, _ in rows)
    drawing = Drawing(left + 440, height + 78, title)
    x = Axis(low, high, unit, log=True)
    frame = Frame(left, 32, 340, height, x, Axis(0, 1, "", ticks=()))
    frame.draw(drawing)
    drawing.text(0, 12, title, "start", font_weight=600)
    for k, (label, value) in enumerate(rows):
        y = frame.top + 26 * k + 13
        drawing.text(left - 10, y, label, "end")
        end = frame.at(max(value, low), 0)[0]
        drawing.rect(left, y - 8, end - left, 16, f"c{k % SERIES}", rx=2)
        drawing.text(end + 6, y, f"{value:.3g}", "start")
    return Plot(name, drawing, ("name", unit), list(rows))


def matrix(name: str, title: str, shares: Mapping[str, Mapping[str, float]]) -> Plot:
    """Shares by row and column in percent, shaded and written; names of many columns are turned."""
    columns = sorted({column for told in shares.values() for column in told})
    longest = max(len(column) for column in columns)
    many = len(columns) > MANY
    left = 20 + 6.6 * max([8, *(len(row) for row in shares)])
    wide = 40.0 if many else max(64.0, 14 + 6.6 * longest)
    top = 34 + 4.8 * longest if many else 54.0
    right = 4.8 * longest if many else 8.0
    drawing = Drawing(left + wide * len(columns) + right, top + 6 + 30 * len(shares), title)
    drawing.text(0, 12, title, "start", font_weight=600)
    for k, column in enumerate(columns):
        x, y = left + wide * (k + 0.5), top - 14
        if many:
            turn = f"rotate(-45 {x:.1f} {y:.1f})"
            drawing.text(x, y, column, "start", fill="var(--soft)", transform=turn)
        else:
            drawing.text(x, y, column, fill="var(--soft)")
    for j, (row, told) in enumerate(shares.items()):
        y = top + 30 * j
        drawing.text(left - 8, y + 14, row, "end")
        for k, column in enumerate(columns):
            share = told.get(column, 0.0)
            drawing.rect(
                left + wide * k, y, wide - 2, 28, "c0", fill_opacity=f"{0.65 * share:.3f}", rx=3
            )
            words = f"{100 * share:.0f}" if many else f"{100 * share:.1f} %"
            drawing.text(left + wide * (k + 0.5) - 1, y + 14, words)
    rows = [
        (row, column, told.get(column, 0.0)) for row, told in shares.items() for column in columns
    ]
    return Plot(name, drawing, ("row", "column", "share"), rows)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
