"""What differs in a comparison: paired differences with intervals, tests, equivalence and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedad.reporting.comparison.words import Comparison, named, number
from fedad.reporting.markup import NONE, Html, Section, details, paragraph, ranged, table
from fedad.reporting.plots import Plot, intervals, side_by_side
from fedad.reporting.shown_run import Found

Contrast = Mapping[str, Any]  # one pair of treatments, by one figure
COLUMNS = [
    *("first less second", "difference", "p (Holm)", "p equal", "p over sets"),
    *("dz", "ranks", "verdict"),
]
VERDICT = (
    "Products are fixed: what is tested is no difference on these products' parts. Higher or "
    "lower: p of redrawn test images and seeds (Holm over all pairs of a figure). Equivalent: TOST "
    "and the 90 % interval keep the difference within the margin of {margin}, each pair by itself "
    "(p equal is not Holm's). p over sets: the signed-rank test over sets of test images, a "
    "product each with its seeds averaged, from six on (Holm). Cannot tell: neither, which is not "
    "the same as equal; a dash is no p."
)
RANKS = (
    "Mean ranks over sets of test images, a product each with its seeds averaged; 1 is best. Ranks "
    "less than the critical difference apart are not told apart at 5 %"
)


def differences(comparison: Comparison) -> Found:
    """Every pair by the headline figure in plots and a table; by the others in a table."""
    margin, headline = comparison["plan"]["margin"], comparison["headline"]
    main = [one for one in comparison["contrasts"] if one["figure"] == headline]
    other = [one for one in comparison["contrasts"] if one["figure"] != headline]
    plots = _plots(main, named(headline), margin)
    notes = list(dict.fromkeys(note for one in comparison["contrasts"] for note in one["warnings"]))
    body = [
        *(paragraph(f"Small numbers: {note}.", kind="warning") for note in notes),
        side_by_side(plots),
        table(
            COLUMNS,
            difference_rows(main),
            "dz: mean over scatter of the sets, ranks: rank-biserial; from five sets on",
        ),
        paragraph(VERDICT.format(margin=f"{margin:g}"), kind="note"),
        details("Other figures", table(COLUMNS, difference_rows(other))),
        *_ranks(comparison),
    ]
    return Section("differences", "What differs", "".join(body)), plots


def difference_rows(contrasts: Sequence[Contrast]) -> list[list[str]]:
    """A line a contrast, with the words of `COLUMNS`."""
    return [
        [
            f"{one['first']} less {one['second']}, {named(one['figure'])}",
            ranged(difference(one), "+.4f"),
            *(number(one[p], ".2g") for p in ("p_holm", "p_equal", "p_sets")),
            number(one["dz"], ".2f"),
            number(one["rank_biserial"], ".2f"),
            one["verdict"],
        ]
        for one in contrasts
    ]


def difference(contrast: Contrast) -> dict[str, Any]:
    """The difference and its interval, as `ranged` and plots take a value."""
    ends = {name: contrast[name] for name in ("low", "high", "no_interval")}
    return {"value": contrast["difference"], **ends}


def _plots(contrasts: Sequence[Contrast], figure: str, margin: float) -> list[Plot]:
    """Pairs in one ranking, then isolated sites, which are so far off that they need a plot of
    their own for anything else to be read."""
    together = [one for one in contrasts if one["together"]]
    apart = [one for one in contrasts if not one["together"]]
    return [
        intervals(
            file,
            f"Paired differences, {figure}",
            [(f"{one['first']} less {one['second']}", difference(one)) for one in some],
            axis=f"difference, 95 % interval; shaded: the margin of {margin:g}",
            band=margin,
            about=0.0,
        )
        for file, some in (("differences", together), ("differences-isolated", apart))
        if some
    ]


def _ranks(comparison: Comparison) -> Iterator[Html]:
    """Friedman and Nemenyi, for three treatments or more; or why not."""
    rankings = comparison["rankings"]
    if comparison["unranked"]:
        yield paragraph(f"{comparison['unranked']}.", kind="note")
    if rankings:
        columns = ["ranked by", "sets", "p (Friedman)", "mean ranks", "critical", "not apart"]
        yield table(columns, map(_rank_row, rankings), RANKS, words=(3, 5))
        yield details("Nemenyi's p of each pair", Html("".join(map(_nemenyi, rankings))))


def _rank_row(ranking: Mapping[str, Any]) -> list[str]:
    return [
        _ranked_by(ranking),
        str(ranking["sets"]),
        f"{ranking['p']:.2g}",
        ", ".join(f"{label} {rank:.2f}" for label, rank in ranking["ranks"].items()),
        f"{ranking['critical']:.2f}",
        "; ".join(" = ".join(group) for group in ranking["groups"]) or "all are",
    ]


def _ranked_by(ranking: Mapping[str, Any]) -> str:
    where = "all sites' images" if ranking["together"] else "site by site"
    return f"{named(ranking['figure'])}, {where}"


def _nemenyi(ranking: Mapping[str, Any]) -> Html:
    """The p of every two treatments, in the order of their ranks."""
    names, pairs = list(ranking["ranks"]), ranking["pairs"]
    rows = [[a, *(NONE if a == b else f"{pairs[a][b]:.2g}" for b in names)] for a in names]
    return table(["", *names], rows, _ranked_by(ranking))
