"""What to take: the Pareto front, a point for each use case, and the command of each point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.reporting.comparison.words import Comparison, named
from fedad.reporting.markup import Section, copyable, html, paragraph, table
from fedad.reporting.plots import Plot, side_by_side
from fedad.reporting.scatter import scatter
from fedad.reporting.shown_run import Found

TIES = "Bytes within 1 % and seconds within 10 % are equal: of such points the best figure first"
SIDE_BY_SIDE = (
    "Cells ran side by side, or some of them under Flower: seconds say how busy the machine "
    "was, or which way was taken, and are not compared."
)


def choice(comparison: Comparison) -> Found:
    """The points against bytes and, where seconds are known, against seconds; what to take."""
    pareto, name = comparison["pareto"], named(comparison["headline"])
    points, timed = _points(comparison), "seconds" in pareto["axes"]
    plots = _plots(points, name, timed=timed)
    columns = ["", name, "worst site", "MB up a site", "MB down", "MB moved", "seconds"]
    rows = [[f"{k}. {p['label']}", *_costs(p)] for k, p in enumerate(points, start=1)]
    body = [
        side_by_side(plots),
        *([] if timed else [paragraph(SIDE_BY_SIDE, kind="note")]),
        table([*columns, "on the front"], rows, "Means over seeds; of redrawn images and seeds"),
        *_recommended(pareto),
    ]
    return Section("pareto", "What to take", "".join(body)), plots


def _points(comparison: Comparison) -> list[dict[str, Any]]:
    """The points with the interval of the headline figure."""
    headline = comparison["headline"]
    figures = {one["label"]: one["figures"][headline] for one in comparison["treatments"]}
    return [
        {**point, **_ends(figures[point["label"]]["together"])}
        for point in comparison["pareto"]["points"]
    ]


def _plots(points: Sequence[Mapping[str, Any]], name: str, *, timed: bool) -> list[Plot]:
    against_bytes = scatter(
        "pareto-bytes",
        f"{name} against bytes",
        points,
        cost=("mb_moved", "MB moved, up and down, all sites"),
        gain=("figure", name),
    )
    if not timed:
        return [against_bytes]
    against_seconds = scatter(
        "pareto-seconds",
        "Worst site against seconds",
        points,
        cost=("seconds", "seconds of all stages; cached features cost none"),
        gain=("worst_site", f"{name} of the worst site"),
    )
    return [against_bytes, against_seconds]


def _ends(interval: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: interval[name] for name in ("low", "high")} if interval else {}


def _costs(point: Mapping[str, Any]) -> list[str]:
    costs = ("mb_up_a_site", "mb_down_a_site", "mb_moved", "seconds")
    return [
        *(f"{point[name]:.4f}" for name in ("figure", "worst_site")),
        *(f"{point[name]:.2f}" for name in costs),
        f"{'yes' if point['on_front'] else 'no'}, in {100 * point['often']:.0f} %",
    ]


def _recommended(pareto: Mapping[str, Any]) -> Iterator[str]:
    """A point a use case, then each point's command once."""
    rows = [
        [one["use_case"], " = ".join([one["label"] or "no point does it", *one["ties"]])]
        for one in pareto["recommended"]
    ]
    yield table(["use case", "take"], rows, TIES, words=(1,))
    for point in pareto["points"]:
        yield f"<h3>{html(point['label'])}</h3>{copyable(point['flwr'])}{copyable(point['fedad'])}"
