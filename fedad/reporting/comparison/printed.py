"""A comparison as tables for the terminal: the figures, what differs, to whom, what to take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.text import Text

from fedad.plumbing.console import add_row, show, table
from fedad.plumbing.shown import for_table
from fedad.reporting.comparison.differences import difference
from fedad.reporting.comparison.members import AGAINST, against_rows, carrier_rows
from fedad.reporting.comparison.members import COLUMNS as CARRIED
from fedad.reporting.comparison.words import Comparison, number
from fedad.reporting.markup import ranged

Printed = tuple[list[str], list[str], list[list[str]]]  # lines of the title, columns, rows


def print_comparison(comparison: Comparison) -> None:
    """Print tables of what `comparison.json` holds."""
    for part in (_figures, _members, _carriers, _differences, _sites, _promised, _recommended):
        title, columns, rows = part(comparison)
        if not columns:
            continue
        made = table("", columns)
        made.title = Text("\n").join(map(for_table, title))
        made.box, made.pad_edge = SIMPLE, False
        for row in rows:
            add_row(made, *row)
        show(made)


def _figures(comparison: Comparison) -> Printed:
    figures = comparison["plan"]["figures"]
    rows = []
    for one in comparison["treatments"]:
        values = (one["figures"][figure] for figure in figures)
        rows.append([one["label"], *(ranged(v.get("together") or v["by_site"]) for v in values)])
    title = "Means over categories and seeds, 95 % intervals; all sites' images in one ranking"
    notes = (f"warning: {note}" for note in comparison["notes"])
    sizes = [curve["said"] for curve in comparison.get("sizes", [])]
    return [f"{title} (isolated: site by site)", *notes, *sizes], ["", *figures], rows


def _members(comparison: Comparison) -> Printed:
    """Each ensemble less its best and its median member; no columns where there is none."""
    rows = [row for one in comparison.get("members") or [] for row in against_rows(one)]
    return ["Ensembles against their members"], AGAINST if rows else [], rows


def _carriers(comparison: Comparison) -> Printed:
    """Which member carries each product; no columns where there is one member at most."""
    rows = [row for one in comparison.get("members") or [] for row in carrier_rows(one)]
    return ["Which member carries each product"], CARRIED if rows else [], rows


def _differences(comparison: Comparison) -> Printed:
    columns = ["first", "less", "difference", "p (Holm)", "p equal", "verdict"]
    headline = comparison["headline"]
    contrasts = [one for one in comparison["contrasts"] if one["figure"] == headline]
    rows = [
        [
            one["first"],
            one["second"],
            ranged(difference(one), "+.4f"),
            *(number(one[p], ".3g") for p in ("p_holm", "p_equal")),
            one["verdict"],
        ]
        for one in contrasts
    ]
    notes = sorted({f"warning: {note}" for one in contrasts for note in one["warnings"]})
    ranks = [comparison["unranked"]] if comparison["unranked"] else []
    return [f"Paired differences, {headline}", *ranks, *notes], columns, rows


def _sites(comparison: Comparison) -> Printed:
    figure, rows = comparison["headline"], []
    for one in comparison["fairness"]:
        over = one["figures"][figure]["over_sites"]
        if not over:  # nothing to rank at any site
            continue
        gain = one.get("gain", {}).get(figure, {})
        helped = sum(site["answer"] == "helped" for site in gain.values())
        hurt = sum(site["answer"] == "hurt" for site in gain.values())
        rows.append(
            [
                one["treatment"],
                _worst(one["figures"][figure]),
                f"{over['gap']:.3f}",
                f"{over['spread']:.3f}",
                f"{helped} helped, {hurt} hurt of {len(gain)}" if gain else "-",
                ", ".join(_masked(one)) or "-",
            ]
        )
    columns = [
        "",
        "worst site of images",
        "gap",
        "spread",
        "did it help?",
        "defects passed because of others, all seeds",
    ]
    return [f"Sites, {figure}"], columns, rows


def _worst(figure: Mapping[str, Any]) -> str:
    """The worst site, and the images it rests on: one image alone makes any figure extreme."""
    worst = figure["over_sites"]["worst"]
    images = figure["sites"][worst]["images"]
    return f"{worst} {figure['over_sites']['worst_value']:.3f} of {images}"


def _masked(treatment: Mapping[str, Any]) -> Iterator[str]:
    """How many of its defects others' rows hid at each site where it was any, and what chance
    alone hides."""
    for site, rates in treatment.get("borrowed", {}).items():
        if rates["masking"]["cases"]:
            chance = rates.get("chance_masking", {"of": 0})
            beside = f" ({chance['cases']} of {chance['of']} by chance)" if chance["of"] else ""
            yield f"{site} {rates['masking']['cases']} of {rates['masking']['of']}{beside}"


def _promised(comparison: Comparison) -> Printed:
    """What releases claim beside what an attack showed; no columns where none was audited."""
    points = [point for point in comparison["pareto"]["points"] if "claimed" in point]
    rows = [
        [point["label"], *(number(point[k], ".3g") for k in ("claimed", "epsilon", "audited"))]
        for point in points
    ]
    columns = ["", "claimed", "holds (-: nothing)", "audited: at least"] if points else []
    return ["Epsilon of an upload, by add/remove of one image"], columns, rows


def _recommended(comparison: Comparison) -> Printed:
    pareto = comparison["pareto"]
    points = {point["label"]: point for point in pareto["points"]}
    rows = []
    for one in pareto["recommended"]:
        if one["label"] is None:
            rows.append([one["use_case"], "no point does it", "", "", "", ""])
            continue
        point = points[one["label"]]
        numbers = (point[name] for name in ("figure", "worst_site", "mb_moved", "seconds"))
        taken = " = ".join([one["label"], *one["ties"]])
        rows.append([one["use_case"], taken, *(f"{n:.3f}" for n in numbers)])
    title = "What to take"
    if "seconds" not in pareto["axes"]:
        title += "; cells ran side by side or in two ways: mind no seconds"
    return [title], ["use case", "point", "figure", "worst site", "MB", "seconds"], rows
