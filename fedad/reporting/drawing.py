"""Drawings as SVG text: on the page they take its colours, as files they bring their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fedad.plumbing.shown import for_html

# Okabe and Ito's colours, told apart without colour vision; the second set is for dark pages.
LIGHT = {
    "ink": "#1c2430",
    "soft": "#5b6675",
    "grid": "#dfe4ea",
    "paper": "#ffffff",
    "c0": "#0072b2",
    "c1": "#d55e00",
    "c2": "#009e73",
    "c3": "#a8568a",
    "c4": "#b07800",
    "c5": "#2b8fc9",
    "band": "#e8eef5",
}
DARK = {
    "ink": "#e8ebf0",
    "soft": "#a3adba",
    "grid": "#39424e",
    "paper": "#171b21",
    "c0": "#5db4ee",
    "c1": "#ff8a4c",
    "c2": "#3fcf9f",
    "c3": "#e59ac8",
    "c4": "#f0b840",
    "c5": "#8fd3ff",
    "band": "#26303c",
}
SERIES = 6  # colours c0 to c5
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2", "10 4")  # a second way to tell lines apart


def variables(colours: dict[str, str]) -> str:
    """Colours as CSS variables."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` along a side of a plot, on a linear or a logarithmic scale."""

    low: float
    high: float
    label: str
    log: bool = False
    ticks: tuple[float, ...] | None = None  # None: round numbers are chosen
    form: str = "g"

    def share(self, value: float) -> float:
        """Where a value lies, 0 at `low` to 1 at `high`; beyond the ends, at the end."""
        low, high, value = (
            (math.log10(max(v, 1e-12)) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return min(1.0, max(0.0, (value - low) / ((high - low) or 1.0)))

    def marks(self) -> Sequence[float]:
        """The values that get a tick."""
        if self.ticks is not None:
            return self.ticks
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = _step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [step * k for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _step(width: float) -> float:
    """1, 2 or 5 times a power of ten, at least `width`."""
    power = 10.0 ** math.floor(math.log10(width or 1.0))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= width * (1 - 1e-9))


@dataclass
class Drawing:
    """SVG shapes in the order of drawing; all coordinates are in units of the view box."""

    width: float
    height: float
    title: str
    shapes: list[str] = field(default_factory=list)

    def line(self, points: Sequence[tuple[float, float]], colour: str, **more: object) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add("polyline", points=path, fill="none", stroke=_colour(colour), **more)

    def rect(
        self, x: float, y: float, width: float, height: float, colour: str, **more: object
    ) -> None:
        box = {"x": _n(x), "y": _n(y), "width": _n(width), "height": _n(height)}
        self.add("rect", **box, fill=_colour(colour), **more)

    def circle(self, x: float, y: float, radius: float, colour: str, **more: object) -> None:
        self.add("circle", cx=_n(x), cy=_n(y), r=_n(radius), **{"fill": _colour(colour), **more})

    def text(self, x: float, y: float, words: str, anchor: str = "middle", **more: object) -> None:
        """Words whose middle line is at `y`; `anchor` is start, middle or end."""
        extra = {"fill": _colour("ink"), **more}
        self.shapes.append(
            f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}"{_attributes(extra)}>'
            f"{for_html(words)}</text>"
        )

    def add(self, tag: str, **attributes: object) -> None:
        self.shapes.append(f"<{tag}{_attributes(attributes)}/>")

    def svg(self, *, alone: bool = False) -> str:
        """The drawing as an element of the page, or `alone` as a file with its own colours."""
        space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
        own = "" if alone else f' width="{self.width:g}"'  # a style would need a wider policy
        head = (
            f'<svg{space}{own} viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{for_html(self.title)}" font-family="system-ui, sans-serif" '
            f'font-size="12"><title>{for_html(self.title)}</title>'
        )
        return head + (_own_colours(self) if alone else "") + "".join(self.shapes) + "</svg>"


def _own_colours(drawing: Drawing) -> str:
    dark = f"@media (prefers-color-scheme:dark){{svg{{{variables(DARK)}}}}}"
    paper = f'<rect width="{drawing.width:g}" height="{drawing.height:g}" fill="var(--paper)"/>'
    return f"<style>svg{{{variables(LIGHT)}}}{dark}</style>{paper}"


@dataclass(frozen=True)
class Frame:
    """A plot's rectangle in a drawing, with its two axes."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the data stands in the drawing."""
        across, up = self.x.share(x), self.y.share(y)
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def draw(self, on: Drawing) -> None:
        """Grid, ticks and names of both axes."""
        bottom, right = self.top + self.height, self.left + self.width
        for value in self.x.marks():
            x = self.at(value, self.y.low)[0]
            on.line([(x, self.top), (x, bottom)], "grid")
            on.text(x, bottom + 13, format(value, self.x.form), fill=_colour("soft"))
        for value in self.y.marks():
            y = self.at(self.x.low, value)[1]
            on.line([(self.left, y), (right, y)], "grid")
            on.text(self.left - 6, y, format(value, self.y.form), "end", fill=_colour("soft"))
        on.line([(self.left, self.top), (self.left, bottom), (right, bottom)], "soft")
        on.text(self.left + self.width / 2, bottom + 31, self.x.label)
        on.text(self.left, self.top - 10, self.y.label, "start")


def _colour(name: str) -> str:
    return name if name in ("none", "transparent") else f"var(--{name})"


def _attributes(given: dict[str, object]) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_lines(value)}"' for name, value in given.items()
    )


def _lines(value: object) -> str:
    """Lines of ours stay lines; each holds texts of others."""
    return "\n".join(map(for_html, str(value).split("\n")))


def _n(value: float) -> str:
    return f"{value:.1f}"
