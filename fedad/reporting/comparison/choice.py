"""What to take: the Pareto front, a point for each use case, and the command of each point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.reporting.comparison.words import Comparison, named
from fedad.reporting.markup import Section, copyable, html, paragraph, table
from fedad.reporting.plots import Plot, side_by_side
from fedad.reporting.scatter import scatter
from fedad.reporting.shown_run import Found

AUDITED = (
    "Epsilon of an upload of a product, by add/remove of one image, at delta 1e-5; what holds "
    "follows from receipts. Audited in one run of a site of so many images, each in it by a coin, "
    "95 % sure: a bound that is below what is claimed proves nothing"
)
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
        *promised(points, name),
        *_recommended(pareto),
    ]
    return Section("pareto", "What to take", "".join(body)), plots


def promised(points: Sequence[Mapping[str, Any]], name: str) -> Iterator[str]:
    """What each point claims of an image's privacy, what holds, and what an attack showed, beside
    its figure, which is called `name`; nothing where no point was audited."""
    if not any("claimed" in point for point in points):
        return
    columns = ["", name, "claimed", "holds", "audited: at least", "images audited", ""]
    rows = [
        [
            f"{k}. {p['label']}",
            f"{p['figure']:.4f}",
            _epsilon(p["claimed"], "nothing"),
            _epsilon(p["epsilon"], "infinite"),
            _epsilon(p["audited"], "-"),
            str(p["canaries"]),
            _verdict(p),
        ]
        for k, p in enumerate(points, start=1)
    ]
    yield table(columns, rows, AUDITED, words=(6,))


def _epsilon(value: float | None, none: str) -> str:
    return none if value is None else f"{value:.3g}"


def _verdict(point: Mapping[str, Any]) -> str:
    """Whether the claim holds, by the receipts and by the audit."""
    claim, bound = point["claimed"], point["audited"]
    if claim is not None and bound is not None and bound > claim:
        return "refuted: more is told of an image than is claimed"
    if claim is not None and point["epsilon"] is None:
        return "not private, whatever it claims; this audit does not show it"
    return ""


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
    plots = [against_bytes, *_against_epsilon(points, name)]
    if not timed:
        return plots
    against_seconds = scatter(
        "pareto-seconds",
        "Worst site against seconds",
        points,
        cost=("seconds", "seconds of all stages; cached features cost none"),
        gain=("worst_site", f"{name} of the worst site"),
    )
    return [*plots, against_seconds]


def _against_epsilon(points: Sequence[Mapping[str, Any]], name: str) -> Iterator[Plot]:
    """The private points by what they cost in epsilon, each with its number among all."""
    numbered = [{**point, "number": k} for k, point in enumerate(points, start=1)]
    private = [point for point in numbered if point["epsilon"] is not None]
    if len(private) > 1:
        yield scatter(
            "pareto-epsilon",
            f"{name} against epsilon",
            private,
            cost=("epsilon", "epsilon of an upload; points without privacy are left out"),
            gain=("figure", name),
        )


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
