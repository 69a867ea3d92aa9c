"""Histograms of image scores with a slider: what another threshold would stop, and let pass.

A threshold moved here is chosen on test images: to see what there is to choose, not to be reported.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fedad.errors import DataError
from fedad.evaluation import Rate
from fedad.evaluation.bins import HIGHEST
from fedad.plumbing.files import read_json
from fedad.plumbing.shown import for_terminal, from_csv
from fedad.reporting.drawing import Axis, Drawing, Frame
from fedad.reporting.markup import Html, data, html
from fedad.reporting.plots import Plot
from fedad.types import GOOD

BINS = 36
EVERY = "all sites together"
SPAN = 1e4  # of a logarithmic axis: scores that are lower still are in its first bar


@dataclass
class Scores:
    """Image scores of one category at one site, or at all, and the calibrated threshold.

    `stopped` of the good and `passed` of the bad ones are counted by the limit of each: a part
    nearest to another site's rows may have a limit of its own.
    """

    good: list[float] = field(default_factory=list)
    bad: list[float] = field(default_factory=list)
    threshold: float | None = None
    stopped: int = 0
    passed: int = 0


Sites = dict[str, Scores]  # site, or EVERY -> scores


def read_scores(site: Path) -> dict[str, Scores]:
    """Category -> scores, from the `scores.csv` and `thresholds.json` of a site's own folder.

    Raises:
        DataError: either is not what a site keeps.
    """
    found: dict[str, Scores] = {}
    path = site / "scores.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                scores = found.setdefault(from_csv(row["category"]), Scores())
                is_good, score = from_csv(row["defect"]) == GOOD, float(row["score"])
                (scores.good if is_good else scores.bad).append(score)
                if limit := row.get("threshold"):  # files from before have none
                    is_stopped = score > float(limit)
                    scores.stopped += is_good and is_stopped
                    scores.passed += not is_good and not is_stopped
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: not the scores that a site keeps ({error})") from error
    thresholds = site / "thresholds.json"
    told = read_json(thresholds, "a site's thresholds") if thresholds.exists() else {}
    try:
        for category, one in told.items():
            if category in found and one["score"] is not None:
                found[category].threshold = float(one["score"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{thresholds}: not a site's thresholds ({error})") from error
    return found


def of_curve(columns: Mapping[str, np.ndarray], good: int, bad: int) -> Scores:
    """The scores of all sites from a category's curves, each at the lower end of its bin."""
    found = Scores()
    for name, count, into in (("image_fpr", good, found.good), ("image_tpr", bad, found.bad)):
        shares = np.diff(columns[name], prepend=0.0)
        images = np.rint(np.nan_to_num(shares) * count).astype(int)
        for score, here in zip(columns["threshold"], images, strict=True):
            into.extend([float(np.clip(score, -HIGHEST, HIGHEST))] * int(here))
    return found


def together(sites: Mapping[str, Scores]) -> Sites:
    """All sites' scores first, with the middle one of their thresholds, then each site's."""
    known = sorted(one.threshold for one in sites.values() if one.threshold is not None)
    every = Scores(
        good=[score for one in sites.values() for score in one.good],
        bad=[score for one in sites.values() for score in one.bad],
        threshold=known[len(known) // 2] if known else None,
        stopped=sum(one.stopped for one in sites.values()),
        passed=sum(one.passed for one in sites.values()),
    )
    return {EVERY: every, **sites} if len(sites) > 1 else dict(sites)


def histogram(category: str, sites: Sites) -> tuple[Plot, Html]:
    """The plot of all scores of a category, and the box in which the slider moves them."""
    told = _told(sites)
    plot = _plot(category, next(iter(sites.values())), told)
    options = "".join(map(_option, sites))
    return plot, Html(
        f'<div class="scores" data-category="{html(category)}">{plot.figure()}'
        f'<div class="slide"><label>site <select aria-label="site">{options}</select></label>'
        f'<label>threshold <output class="value"></output></label>'
        f'<input type="range" min="0" max="1000" aria-label="threshold of {html(category)}">'
        '<button type="button">calibrated</button></div>'
        '<div class="slide"><span>false rejects: <output class="rejects"></output></span>'
        '<span>escapes: <output class="escapes"></output></span></div>'
        f"{data(f'scores-{category}', told)}</div>"
    )


def _option(name: str) -> str:
    """An entry of a list, whose value a browser takes from its words with single spaces."""
    value = "" if name == " ".join(name.split()) else f' value="{html(name)}"'
    return f"<option{value}>{html(name)}</option>"


def _told(sites: Sites) -> dict[str, Any]:
    """What the page's script needs: sorted scores, where the plot is, intervals of all rates."""
    every = [score for one in sites.values() for score in (*one.good, *one.bad)]
    every += [one.threshold for one in sites.values() if one.threshold is not None]
    sizes = {len(part) for one in sites.values() for part in (one.good, one.bad)} - {0}
    return {
        **_axis(min(every), max(every)),
        "bins": BINS,
        **_PLACE,
        "sites": {
            for_terminal(name): {  # as the page's list has it
                "good": sorted(one.good),
                "bad": sorted(one.bad),
                "threshold": one.threshold,
            }
            for name, one in sites.items()
        },
        "intervals": {n: [_ends(Rate.exact(k, n)) for k in range(n + 1)] for n in sorted(sizes)},
    }


def _axis(lowest: float, highest: float) -> dict[str, Any]:
    """Where the axis begins and ends: logarithmic for distances that spread, else linear."""
    if lowest >= 0 and highest > max(2 * lowest, 1e-6):
        return {"log": True, "low": 0.9 * max(lowest, highest / SPAN), "high": 1.1 * highest}
    margin = 0.05 * ((highest - lowest) or abs(highest) or 1.0)
    return {"log": False, "low": lowest - margin, "high": highest + margin}


def _ends(rate: Rate) -> list[float]:
    return [round(rate.low, 4), round(rate.high, 4)]


_PLACE = {"left": 66, "width": 560, "top": 24, "half": 84, "middle": 112, "bottom": 200}


def _plot(category: str, scores: Scores, told: Mapping[str, Any]) -> Plot:
    """Good parts above the line, defective ones below it, each to their own height."""
    p = _PLACE
    drawing = Drawing(640, 244, f"{category}: image scores of good and defective parts")
    log = told["log"]
    ticks = _ticks(told) if log else None
    axis = Axis(told["low"], told["high"], "image score", log=log, ticks=ticks, form=".3g")
    frame = Frame(
        p["left"], p["top"], p["width"], p["bottom"] - p["top"], axis, Axis(0, 1, "", ticks=())
    )
    frame.draw(drawing)
    edges = (np.geomspace if log else np.linspace)(told["low"], told["high"], BINS + 1)
    rows = []
    wide = p["width"] / BINS
    counts = {  # what lies below the axis is in its first bar, as on the page
        s: np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0]
        for s, part in (("good", scores.good), ("bad", scores.bad))
    }
    for sort, colour, up in (("good", "c0", True), ("bad", "c1", False)):
        most = max(1, int(counts[sort].max()))
        for k, count in enumerate(counts[sort]):
            tall = p["half"] * int(count) / most
            y = p["middle"] - tall if up else p["middle"]
            drawing.rect(p["left"] + k * wide, y, wide - 1, tall, colour, class_=sort)
    drawing.line([(p["left"], p["middle"]), (p["left"] + p["width"], p["middle"])], "soft")
    drawing.text(p["left"], 10, category, "start", font_weight=600)
    drawing.text(p["left"] - 6, p["middle"] - 42, "good", "end", fill="var(--c0)")
    drawing.text(p["left"] - 6, p["middle"] + 42, "defective", "end", fill="var(--c1)")
    known = scores.threshold is not None  # else no line until somebody moves one
    middle = float(edges[BINS // 2])
    at = frame.at(scores.threshold if scores.threshold is not None else middle, 0)[0]
    ends = [(at, p["top"]), (at, p["bottom"])]
    style = {} if known else {"display": "none"}
    drawing.line(ends, "ink", stroke_width=2, stroke_dasharray="5 3", class_="threshold", **style)
    rows = [
        (f"{low:.6g}", f"{high:.6g}", int(good), int(bad))
        for low, high, good, bad in zip(
            edges, edges[1:], counts["good"], counts["bad"], strict=False
        )
    ]
    return Plot(f"scores-{category}", drawing, ("from", "to", "good", "defective"), rows)


def _ticks(told: Mapping[str, Any]) -> tuple[float, ...]:
    """A few round numbers between the ends."""
    powers = range(math.floor(math.log10(told["low"])), math.ceil(math.log10(told["high"])) + 1)
    some = [m * 10.0**p for p in powers for m in (1, 1.5, 2, 3, 5, 7)]
    inside = [value for value in some if told["low"] <= value <= told["high"]]
    return tuple(inside[:: max(1, math.ceil(len(inside) / 7))])
