"""Members and ensembles of them, by kind of defect, and the member that carries each product."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.reporting.comparison.words import Comparison, named
from fedad.reporting.markup import NONE, Section, details, paragraph, ranged, table
from fedad.reporting.plots import Plot, intervals, side_by_side
from fedad.reporting.shown_run import Found

Family = Mapping[str, Any]  # members alone, and the ensembles of some of these
FIGURES = (
    "Means over categories and seeds with 95 % intervals over redrawn test images and seeds; of a "
    "kind the good images and the defects of that kind alone"
)
AGAINST = ["", "figure", "less best member", "which is", "less median", "not below"]
AGAINST_TOLD = (
    "Paired differences on the same test images, 95 % intervals. Best and median are of the "
    "ensemble's own members, in each figure by itself; the best is chosen on these test images. "
    "Not below: in no figure of these below the member that is best in it"
)
CARRIED = (
    "The member of the best figure on each product. It carries the product where its lead over "
    "every other member has an interval above 0, else nobody can tell it from those named; leads "
    "are of the test images that the best was found on, and so rather too large"
)
DRAWN = (
    "What each member weighs, the mean over seeds, by how well it tells drawn defects from "
    "held-out good images: no test image is in it"
)
COLUMNS = ["product", "figure", "best member", "its figure", "least lead", "carried by"]


def members(comparison: Comparison) -> list[Found]:
    """A section, where the points are members and ensembles of these; else none."""
    families = comparison.get("members") or []
    if not families:
        return []
    found = [_family(family, f"-{k}" if k else "") for k, family in enumerate(families)]
    body = "".join(text for text, _ in found)
    plots = [plot for _, some in found for plot in some]
    return [(Section("members", "Members and ensembles", body), plots)]


def _family(family: Family, mark: str) -> tuple[str, list[Plot]]:
    figures = [named(figure) for figure in family["figures"]]
    plots = [
        intervals(
            f"members-{figure}{mark}",
            f"Ensembles less their best member, {named(figure)}",
            [
                (scoped(one["label"], one["kind"]), one[figure]["less_best"])
                for one in family["ensembles"]
                if figure in one
            ],
            axis="difference, 95 % interval",
            about=0.0,
        )
        for figure in family["figures"]
    ]
    body = [
        side_by_side(plots),
        table(["", *figures], value_rows(family), FIGURES),
        table(AGAINST, against_rows(family), AGAINST_TOLD, words=(1, 3, 5)),
        _carried(family),
    ]
    return "".join(body), plots


def _carried(family: Family) -> str:
    rows = carrier_rows(family)
    if not rows:
        return paragraph("One member alone: none to tell it from.", kind="note")
    drawn = [*_weight_rows(family)]
    title, columns = "By drawn defects", ["", "images", "maps"]
    shown = details(title, table(columns, drawn, DRAWN, words=(1, 2))) if drawn else ""
    return table(COLUMNS, rows, CARRIED, words=(1, 2, 5)) + shown


def scoped(label: str, kind: str) -> str:
    """A name, and the kind of defects that it is judged by, where that is one."""
    return f"{label}, {kind}" if kind else label


def value_rows(family: Family) -> list[list[str]]:
    """Members, then ensembles; each in all, then by kind."""
    every = [*family["alone"], *family["ensembles"]]
    return [
        [
            scoped(("member " if "member" in one else "") + one["label"], one["kind"]),
            *(ranged(one.get(figure)) for figure in family["figures"]),
        ]
        for one in sorted(every, key=lambda one: family["kinds"].index(one["kind"]))
    ]


def against_rows(family: Family) -> list[list[str]]:
    """Each ensemble and figure less its best member, whose name stands there, and less the median
    one, with the words of `AGAINST`."""
    return [
        [
            scoped(one["label"], one["kind"]),
            named(figure),
            ranged(one[figure]["less_best"], "+.3f"),
            one[figure]["best"],
            ranged(one[figure]["less_median"], "+.3f"),
            "yes" if one["not_below"] else "no",
        ]
        for one in family["ensembles"]
        for figure in family["figures"]
        if figure in one
    ]


def carrier_rows(family: Family) -> list[list[str]]:
    """A line a product, kind and figure, with the words of `COLUMNS`."""
    return [
        [
            scoped(one["category"], one["kind"]),
            named(one["figure"]),
            one["best"],
            ranged(one),
            ranged(_least(one["leads"]), "+.4f"),
            carried_by(one),
        ]
        for one in family["carriers"]
    ]


def carried_by(carrier: Mapping[str, Any]) -> str:
    """The member, or that nobody can tell, from which others."""
    if not carrier["not_apart"]:
        return str(carrier["best"])
    return f"cannot tell from {', '.join(carrier['not_apart'])}"


def _least(leads: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return min(leads.values(), key=lambda lead: float(lead["value"]))


def _weight_rows(family: Family) -> Iterator[list[str]]:
    for label, by_product in family["drawn"].items():
        for product, weights in by_product.items():
            yield [f"{label}: {product}", *(_weights(weights, of) for of in ("images", "maps"))]


def _weights(weights: Mapping[str, Mapping[str, float]], of: str) -> str:
    """The members with their weights, the heaviest first."""
    ordered: Sequence[tuple[str, float]] = sorted(
        weights.get(of, {}).items(), key=lambda one: (-one[1], one[0])
    )
    return ", ".join(f"{name} {weight:.2f}" for name, weight in ordered) or NONE
