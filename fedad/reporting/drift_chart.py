"""A product's streams as one drawing: weighted means above, sums below, both by their limit.

Each line is divided by the limit of its chart, so that 1 is an alarm whatever the stream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256

import numpy as np

from fedad.drift.charts import Limits
from fedad.drift.series import Series
from fedad.drift.state import State
from fedad.drift.streams import STREAMS
from fedad.plumbing.files import is_name
from fedad.reporting.drawing import DARK, DASHES, LIGHT, Axis, Drawing, Frame
from fedad.reporting.plots import Plot

WIDTH, HEIGHT = 720, 452
LEFT, WIDE, HIGH = 52, 500, 160  # of a frame
TOPS = (46, 262)
MARKS = 6  # days that are named below a frame
REACH = 1.6  # times the limit that an axis goes to at least
THEMES: Mapping[str, Mapping[str, str]] = {"light": LIGHT, "dark": DARK}
_COLOURED = re.compile(r'="var\(--(\w+)\)"')  # a name in the drawing has no quotation mark
COLUMNS = ("product", "stream", "day", "parts", "mean", "q", "ewma", "cusum_up", "cusum_down")


def chart(state: State, site: str, product: str) -> Plot:
    """The drawing of a product at a site, with its numbers."""
    some = [one for one in state.of(site, product) if one.is_ready]
    title = f"{product or 'all products'}{f' at {site}' if site else ''}"
    drawing = Drawing(WIDTH, HEIGHT, f"{title}: drift by day")
    days = sorted({day for one in some for day in one.days.days})
    if days:
        limits = state.limits[site]
        for top, words, lines in (
            (TOPS[0], "weighted mean (EWMA), of its limit", [_means(one, limits) for one in some]),
            (TOPS[1], "sums (CUSUM), of their limit", [_sums(one, limits) for one in some]),
        ):
            _draw(drawing, top, f"{title}: {words}", days, some, lines)
    for number, stream in enumerate(STREAMS):
        y = TOPS[0] + 16 * number + 8
        look = {"stroke_width": 2, "stroke_dasharray": DASHES[number]}
        drawing.line([(LEFT + WIDE + 16, y), (LEFT + WIDE + 44, y)], f"c{number}", **look)
        drawing.text(LEFT + WIDE + 50, y, stream.name, "start")
    rows = [row for one in some for row in _rows(one)]
    return Plot(
        f"drift-{_called(site or 'site')}-{_called(product or 'all')}", drawing, COLUMNS, rows
    )


def chart_svg(state: State, site: str, product: str, *, alone: bool = False) -> str:
    """The drawing as an element of a page that has the house's style, or `alone` as a file."""
    return chart(state, site, product).drawing.svg(alone=alone)


def themed_svg(state: State, site: str, product: str, theme: str) -> str:
    """The drawing as a file of one theme's colours, without a style sheet: a server's policy lets
    none run in it. Its ground is whatever it lies on.

    Args:
        theme: one of `THEMES`.
    """
    colours, text = THEMES[theme], chart(state, site, product).drawing.svg()
    whole = text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return _COLOURED.sub(lambda found: f'="{colours[found[1]]}"', whole)


def _draw(  # noqa: PLR0917 - what is drawn where
    drawing: Drawing,
    top: float,
    words: str,
    days: Sequence[date],
    some: Sequence[Series],
    lines: Sequence[Sequence[np.ndarray]],
) -> None:
    """One frame: the limits, the streams' lines, and a mark at each alarm."""
    first, last = days[0].toordinal(), days[-1].toordinal()
    reach = max(REACH, *(float(np.abs(line).max()) for pair in lines for line in pair))
    named = np.unique(np.linspace(first, last, min(MARKS, len(days))).round())
    x = Axis(first, max(last, first + 1), "", ticks=())
    frame = Frame(LEFT, top, WIDE, HIGH, x, Axis(-1.05 * reach, 1.05 * reach, words))
    low, high = (frame.at(first, edge)[1] for edge in (-1, 1))
    drawing.rect(LEFT, high, WIDE, low - high, "band")
    frame.draw(drawing)
    for day in named:
        at = frame.at(day, frame.y.low)
        drawing.text(at[0], at[1] + 13, f"{date.fromordinal(int(day))}", fill="var(--soft)")
    for edge in (-1, 1):
        ends = [frame.at(first, edge), frame.at(last, edge)]
        drawing.line(ends, "soft", stroke_dasharray="4 3")
    for one, pair in zip(some, lines, strict=True):
        number = STREAMS.index(one.stream)
        for line in pair:
            points = [
                frame.at(day.toordinal(), value)
                for day, value in zip(one.days.days, line.tolist(), strict=True)
            ]
            drawing.line(points, f"c{number}", stroke_width=1.6, stroke_dasharray=DASHES[number])
        if one.alarm:
            when = one.alarm.at
            value = float(max((line[when] for line in pair), key=abs))
            where = frame.at(one.days.days[when].toordinal(), value)
            drawing.circle(*where, 5, f"c{number}", stroke="var(--ink)")


def _called(name: str) -> str:
    """A name as a part of a file's: lines may be anybody's."""
    return name if is_name(name) else sha256(name.encode(errors="backslashreplace")).hexdigest()[:8]


def _means(one: Series, limits: Limits) -> list[np.ndarray]:
    return [one.ewma / limits.ewma]


def _sums(one: Series, limits: Limits) -> list[np.ndarray]:
    return [one.up / limits.cusum, -one.down / limits.cusum]


def _rows(one: Series) -> list[tuple[object, ...]]:
    columns = (one.days.days, one.days.parts, one.days.means, one.q, one.ewma, one.up, one.down)
    rows = zip(*columns, strict=True)
    return [
        (one.product, one.stream.name, f"{day}", int(parts), *map(float, numbers))
        for day, parts, *numbers in rows
    ]
