"""The figures of a comparison: every treatment's, in all, by category and by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedad.reporting.comparison.words import Comparison, named, number
from fedad.reporting.markup import Section, details, paragraph, ranged, table
from fedad.reporting.plots import intervals, side_by_side
from fedad.reporting.shown_run import Found

CAPTION = (
    "Means over products and seeds with 95 % intervals over redrawn test images and seeds; all "
    "sites together in one ranking, but of isolated the mean of sites"
)


def figures(comparison: Comparison) -> Found:
    """A plot a figure, and its values for each treatment."""
    names = comparison["plan"]["figures"]
    columns = ["", *map(named, names)]
    plots = [
        intervals(
            f"figures-{name}",
            named(name),
            [(one["label"], whole(one, name)) for one in comparison["treatments"]],
            axis="mean over categories and seeds, 95 % interval",
        )
        for name in names
    ]
    body = [
        *(paragraph(f"{note}.", kind="warning") for note in comparison["notes"]),
        side_by_side(plots),
        table(columns, figure_rows(comparison), CAPTION),
        *(paragraph(f"{curve['said']}.", kind="note") for curve in comparison.get("sizes", [])),
        details("By category", table(columns, _category_rows(comparison))),
        details("By seed", table(columns, _seed_rows(comparison))),
    ]
    return Section("figures", "Figures", "".join(body)), plots


def figure_rows(comparison: Comparison) -> list[list[str]]:
    """A line a treatment: its name, and each of the plan's figures with its interval."""
    names = comparison["plan"]["figures"]
    return [
        [one["label"], *(ranged(whole(one, name)) for name in names)]
        for one in comparison["treatments"]
    ]


def whole(treatment: Mapping[str, Any], figure: str) -> Mapping[str, Any]:
    """A figure over all sites' images in one ranking, or by site where there is no such."""
    values = treatment["figures"][figure]
    return values.get("together") or values["by_site"] or {"value": None}


def _category_rows(comparison: Comparison) -> Iterator[list[str]]:
    names = comparison["plan"]["figures"]
    for one in comparison["treatments"]:
        for category in one["figures"][names[-1]]["categories"]:
            values = (one["figures"][name]["categories"].get(category) for name in names)
            yield [f"{one['label']}, {category}", *map(ranged, values)]


def _seed_rows(comparison: Comparison) -> Iterator[list[str]]:
    names = comparison["plan"]["figures"]
    for one in comparison["treatments"]:
        of = {name: _by_seed(one["figures"][name]) for name in names}
        for seed in of[names[-1]]:
            values = (of[name].get(seed) for name in names)
            yield [f"{one['label']}, seed {seed}", *map(number, values)]


def _by_seed(values: Mapping[str, Any]) -> Mapping[str, float]:
    return dict(values.get("together_seeds") or values.get("by_site_seeds") or {})
