"""The section of pictures: surest hits, worst misses and false alarms, and what is said of each."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fedad.reporting.drawing import Drawing
from fedad.reporting.gallery import ALARMS, HITS, MISSES
from fedad.reporting.heatmap import colours, relative
from fedad.reporting.markup import Html, Section, html, paragraph

TITLES = {
    HITS: "Surest hits: the defects with the highest scores",
    MISSES: "Worst misses: the defects with the lowest scores",
    ALARMS: "Worst false alarms: good parts that were stopped",
}
NO_ALARM = "No good part was stopped."
BAR, STEPS = (430, 36), 60  # a colour bar: its size, and how many colours it has


def gallery(entries: Sequence[Mapping[str, Any]]) -> Section:
    """Part, map and mask of each, its verdict, threshold and colour bar, and the nearest normal
    row."""
    body = ""
    judged = any(entry.get("stopped") is not None for entry in entries)
    for sort, title in TITLES.items():
        shown = [_picture(entry) for entry in entries if entry["sort"] == sort]
        if shown:
            body += f'<h3>{title}</h3><div class="gallery">{"".join(shown)}</div>'
        elif sort == ALARMS and judged:
            body += f"<h3>{title}</h3>" + paragraph(NO_ALARM)
    note = paragraph(
        "The part, its map over it, and the mask in green. The colours of a product are the same "
        "everywhere, measured on the model: twice the usual gap between normal rows is dark red. "
        "No map is stretched.",
        kind="note",
    )
    missing = paragraph("Pictures stay at the sites: a server has none.")
    return Section("gallery", "Gallery", note + body if body else missing)


def _picture(entry: Mapping[str, Any]) -> str:
    words = ". ".join(_words(entry))
    source = base64.b64encode(_jpeg(Path(entry["path"]))).decode()
    return (
        f'<figure><img alt="{html(words)}" src="data:image/jpeg;base64,{source}">'
        f"<figcaption>{_badge(entry)}{html(words)}.{colour_bar(entry).svg()}</figcaption></figure>"
    )


def _badge(entry: Mapping[str, Any]) -> Html:
    """The verdict, and whether it is right."""
    stopped, good = entry.get("stopped"), entry.get("defect") == "good"
    if stopped is None:
        return Html('<b class="badge">no threshold</b> ')
    right = stopped is not good
    word = "stopped" if stopped else "passed"
    return Html(f'<b class="badge {"right" if right else "wrong"}">{word}</b> ')


def _words(entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"{entry['image']} at {entry['site']}"
    if entry.get("threshold") is not None:
        yield f"Score {entry['score']:.3g}, threshold {entry['threshold']:.3g}"
    else:
        yield f"Score {entry['score']:.3g}"
    if near := entry.get("nearest"):
        yield f"Nearest normal row: of {near['site']}, {near['distance']:.3g} away"


def colour_bar(entry: Mapping[str, Any]) -> Drawing:
    """The colours from the low to the high end of the scale, with score and threshold marked."""
    low, high = entry["scale"]
    width, height = BAR
    drawing = Drawing(width, height, f"colours from {low:.3g} to {high:.3g}")
    left, across = 30.0, width - 70.0
    some = colours(np.linspace(low, high, STEPS)[None], (low, high))[0]
    step = across / STEPS
    for k, (r, g, b) in enumerate(some):
        drawing.add(
            "rect",
            x=f"{left + k * step:.1f}",
            y="14",
            width=f"{step + 0.4:.1f}",
            height="9",
            fill=f"#{r:02x}{g:02x}{b:02x}",
        )
    drawing.text(left - 4, 18, f"{low:.3g}", "end", font_size=10, fill="var(--soft)")
    drawing.text(left + across + 4, 18, f"{high:.3g}", "start", font_size=10, fill="var(--soft)")
    for name, y, key in (("score", 7, "score"), ("threshold", 30, "threshold")):
        if (value := entry.get(key)) is None:
            continue
        x = left + across * float(np.clip(relative(value, (low, high)), 0, 1))
        drawing.line([(x, 12), (x, 25)], "ink", stroke_width=2)
        end = "end" if x > left + across / 2 else "start"
        drawing.text(x + (-4 if end == "end" else 4), y - 1, name, end, font_size=10)
    return drawing


def _jpeg(path: Path) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
