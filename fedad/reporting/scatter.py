"""What is bought at what cost: a dot a point, filled on the front, with its command on hover."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedad.plumbing.shown import for_terminal
from fedad.reporting.drawing import Axis, Drawing, Frame
from fedad.reporting.plots import Plot

LEGEND = "filled: on the front; line: the most that each cost buys; hover: the command; click: copy"


def scatter(
    name: str,
    title: str,
    points: Sequence[Mapping[str, Any]],
    *,
    cost: tuple[str, str],
    gain: tuple[str, str],
) -> Plot:
    """`points` by what one thing costs and another gains.

    Args:
        points: as in `comparison.json`: a `label`, the numbers, `on_front`, `often` and the
            `flwr` line; `low` and `high` of the first gain where there is an interval; a `number`
            where they are some of more points.
        cost: a key of the points, and what its axis is called; lower is better.
        gain: the same, where higher is better.
    """
    drawing = Drawing(540, 372, title)
    frame = Frame(56, 54, 440, 250, _cost_axis(points, *cost), _gain_axis(points, *gain))
    frame.draw(drawing)
    drawing.text(0, 12, title, "start", font_weight=600)
    drawing.text(0, 364, LEGEND, "start", font_size=10, fill="var(--soft)")
    drawing.line(
        [frame.at(*pair) for pair in _stairs(points, cost[0], gain[0])], "band", stroke_width=3
    )
    for number, point in enumerate(points, start=1):
        _dot(drawing, frame, point.get("number", number), point, (cost[0], gain[0]))
    columns = ["label", *_NUMBERS, "on_front", "often", "flwr"]
    return Plot(name, drawing, columns, [[point[c] for c in columns] for point in points])


_NUMBERS = ("figure", "worst_site", "mb_up_a_site", "mb_down_a_site", "mb_moved", "seconds")


def _cost_axis(points: Sequence[Mapping[str, Any]], key: str, label: str) -> Axis:
    """Logarithmic where the dearest is more than three times the cheapest."""
    low, high = min(p[key] for p in points), max(p[key] for p in points)
    if low > 0 and high > 3 * low:
        return Axis(low / 1.2, high * 1.2, label, log=True, ticks=_round_numbers(low, high))
    room = 0.08 * (high - low) or 0.1 * high or 1.0
    return Axis(max(0.0, low - room), high + room, label, form=".4g")


def _round_numbers(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    some = [m * 10.0**power for power in powers for m in (1, 2, 5)]
    return tuple(value for value in some if low / 1.2 <= value <= high * 1.2)


def _gain_axis(points: Sequence[Mapping[str, Any]], key: str, label: str) -> Axis:
    ends = [end for point in points for end in _whiskers(point, key)]
    values = [*(point[key] for point in points), *ends]
    room = 0.08 * (max(values) - min(values)) or 0.01
    return Axis(max(0.0, min(values) - room), min(1.0, max(values) + room), label, form=".3g")


def _whiskers(point: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """The interval of the figure; a worst site has none of its own."""
    ends = (point.get("low"), point.get("high")) if key == "figure" else ()
    return tuple(float(end) for end in ends if end is not None)


def _stairs(points: Sequence[Mapping[str, Any]], cost: str, gain: str) -> list[tuple[float, float]]:
    """The best that each cost buys, of these two numbers alone."""
    steps: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (p[cost], -p[gain])):
        if not steps or point[gain] > steps[-1][1]:
            if steps:
                steps.append((point[cost], steps[-1][1]))
            steps.append((point[cost], point[gain]))
    return steps


def _dot(
    drawing: Drawing, frame: Frame, number: int, point: Mapping[str, Any], keys: tuple[str, str]
) -> None:
    x, y = frame.at(point[keys[0]], point[keys[1]])
    if ends := _whiskers(point, keys[1]):
        line = [frame.at(point[keys[0]], end) for end in ends]
        drawing.line(line, "soft", stroke_opacity="0.6")
    drawing.circle(
        x,
        y,
        6,
        "c0",
        fill="var(--c0)" if point["on_front"] else "var(--paper)",
        stroke="var(--c0)",
        stroke_width=2,
        tabindex=0,
        role="button",
        aria_label=f"{point['label']}: copy the command",
        data_tip=_words(point),
        data_command=for_terminal(point["flwr"]),
    )
    drawing.text(x + 10, y - 8, str(number), "start", font_size=11)


def _words(point: Mapping[str, Any]) -> str:
    """Lines for the page's tip."""
    front = "on the front" if point["on_front"] else "another is as good in all and better in some"
    return "\n".join(
        [
            for_terminal(point["label"]),
            f"figure {point['figure']:.4f}, worst site {point['worst_site']:.4f}",
            f"{point['mb_up_a_site']:.3g} MB up a site, {point['mb_down_a_site']:.3g} MB down, "
            f"{point['mb_moved']:.3g} MB in all; {point['seconds']:.3g} s",
            f"{front}; in {100 * point['often']:.0f} % of redrawn images and seeds it is on it",
        ]
    )
