"""The FPR-sPRO plot, drawn once and written twice: as SVG and, through Pillow, as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fedad.plumbing.files import write_atomic
from fedad.plumbing.shown import for_html, for_terminal

WIDTH, HEIGHT = 760, 480
LEFT, TOP, RIGHT, BOTTOM = 64, 24, 560, 424  # of the axes; the names stand right of them
LOWEST = 1e-4  # false-positive rate where the logarithmic axis begins
INK, GRID, LIMIT = "#222222", "#dddddd", "#999999"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
FINER = 2  # pixels of the PNG a unit of the drawing

Point = tuple[float, float]


class Line(NamedTuple):
    points: Sequence[Point]
    colour: str
    width: float = 1


class Text(NamedTuple):
    at: Point
    words: str
    anchor: str = "m"  # l, m, r: which end of the words stands at `at`


Shape = Line | Text


def draw_fpr_spro(
    curves: Mapping[str, Mapping[str, np.ndarray]], limits: Sequence[float], stem: Path
) -> list[Path]:
    """Write `<stem>.svg` and `<stem>.png`: a curve a category, the limits marked."""
    shapes = [*_axes(limits), *_curves(curves)]
    svg, png = stem.with_suffix(".svg"), stem.with_suffix(".png")
    write_atomic(svg, as_svg(shapes))
    write_atomic(png, as_png(shapes))
    return [svg, png]


def _axes(limits: Sequence[float]) -> Iterator[Shape]:
    for share in np.linspace(0, 1, 6):
        yield Line([_at(LOWEST, share), _at(1, share)], GRID)
        x, y = _at(LOWEST, share)
        yield Text((x - 8, y), f"{share:.1f}", "r")
    for rate in (1e-4, 1e-3, 1e-2, 1e-1, 1):
        x, y = _at(rate, 0)
        yield Line([(x, y), (x, y + 5)], INK)
        yield Text((x, y + 16), f"{rate:g}")
    for limit in limits:
        yield Line([_at(limit, 0), _at(limit, 1)], LIMIT)
        yield Text((_at(limit, 0)[0], TOP - 10), f"{limit:g}")
    yield Line([_at(LOWEST, 1), _at(LOWEST, 0), _at(1, 0)], INK)
    yield Text(((LEFT + RIGHT) / 2, HEIGHT - 14), "false-positive rate (limits marked)")
    yield Text((8, TOP - 10), "sPRO", "l")


def _curves(curves: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Shape]:
    for k, (name, columns) in enumerate(curves.items()):
        colour, y = COLOURS[k % len(COLOURS)], TOP + 12 + 18 * k
        yield Line([(RIGHT + 14, y), (RIGHT + 34, y)], colour, 2)
        yield Text((RIGHT + 40, y), name, "l")
        x, found = columns["fpr"], columns["spro"]
        if np.isnan(x).any() or np.isnan(found).any():
            continue  # nothing to rank: a name without a curve
        start = np.interp(LOWEST, x, found)
        seen = x > LOWEST
        points = zip([LOWEST, *x[seen]], [start, *found[seen]], strict=True)
        yield Line([_at(*point) for point in points], colour, 2)


def _at(rate: float, share: float) -> Point:
    """Where a point of the curve stands in the drawing."""
    across = np.log10(max(rate, LOWEST) / LOWEST) / -np.log10(LOWEST)
    return float(LEFT + across * (RIGHT - LEFT)), float(BOTTOM - share * (BOTTOM - TOP))


def as_svg(shapes: Sequence[Shape]) -> str:
    """The drawing as one self-contained SVG file."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for shape in shapes:
        if isinstance(shape, Line):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width}"/>'
            )
        else:
            end = {"l": "start", "m": "middle", "r": "end"}[shape.anchor]
            x, y = shape.at
            words = for_html(shape.words)
            lines.append(
                f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{end}" fill="{INK}">{words}</text>'
            )
    return "\n".join([*lines, "</svg>\n"])


def as_png(shapes: Sequence[Shape]) -> bytes:
    """The same drawing in pixels."""
    image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(12 * FINER)
    for shape in shapes:
        if isinstance(shape, Line):
            points = [(x * FINER, y * FINER) for x, y in shape.points]
            pen.line(points, shape.colour, round(shape.width * FINER), joint="curve")
        else:
            x, y = shape.at
            pen.text(
                (x * FINER, y * FINER),
                for_terminal(shape.words),
                INK,
                font,
                anchor=f"{shape.anchor}m",
            )
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
