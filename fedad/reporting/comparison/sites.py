"""To whom: the worst site, the gap, what each site gained, and what others' rows did to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedad.reporting.comparison.words import Comparison, named, number
from fedad.reporting.markup import NONE, Html, Section, details, ranged, table
from fedad.reporting.plots import intervals
from fedad.reporting.shown_run import Found

SURE = (
    "helped or hurt: p of no gain on redrawn test images and seeds below 5 %, by Holm over all "
    "sites and figures of a point; intervals are of each by itself. No interval where a product "
    "has fewer than five good or defective test images, no p from one seed either"
)
CHANGED = {
    "masking": "defects that pass because of other sites",
    "chance_masking": "by chance",
    "relief": "good parts that pass thanks to other sites",
    "chance_relief": "by chance",
}
BORROWED = (
    "Each beside what my own images alone would have stopped, at a threshold calibrated for them; "
    "by chance: the same between a random half of them and all. Sums over seeds, whose intervals "
    "count each test image once"
)


def sites(comparison: Comparison) -> Found:
    """The headline figure over sites and categories, each site's gain, and borrowed rows."""
    headline, fairness = comparison["headline"], comparison["fairness"]
    name = named(headline)
    columns = ["", "worst", "best", "gap", "spread"]
    by_site, by_category = (
        [[one["treatment"], *_spread(one["figures"][headline][of])] for one in fairness]
        for of in ("over_sites", "over_categories")
    )
    body = [
        table(columns, by_site, f"{name} over sites"),
        details("By site", table(["", name, "images"], _site_rows(comparison))),
        table(columns, by_category, f"{name} over categories"),
    ]
    gains, plots = _gains(comparison), []
    if gains:
        title = f"Gain over being isolated, {name}"
        plots = [intervals("gain", title, gains, axis="gain, 95 % interval", about=0.0)]
        answers = [
            [label, ranged(gain, "+.3f"), number(gain["p_holm"], ".2g"), gain["answer"]]
            for label, gain in gains
        ]
        body += [
            plots[0].figure(),
            table(["did federation help me?", name, "p (Holm)", ""], answers, SURE, words=(3,)),
        ]
    body += [_borrowed(comparison)]
    return Section("sites", "To whom", "".join(body)), plots


def _gains(comparison: Comparison) -> list[tuple[str, Mapping[str, Any]]]:
    """Treatment and site -> what the site gained over being isolated, where that is known."""
    headline = comparison["headline"]
    return [
        (f"{one['treatment']}: {site}", gain)
        for one in comparison["fairness"]
        for site, gain in one.get("gain", {}).get(headline, {}).items()
    ]


def _site_rows(comparison: Comparison) -> Iterator[list[str]]:
    """Each site's figure, and its good or defective images, whichever are fewer."""
    for one in comparison["fairness"]:
        for site, figure in one["figures"][comparison["headline"]]["sites"].items():
            yield [f"{one['treatment']}: {site}", ranged(figure), str(figure["images"])]


def _spread(over: Mapping[str, Any]) -> list[str]:
    if not over:
        return [NONE] * 4
    return [
        f"{over['worst']} {over['worst_value']:.3f}",
        f"{over['best']} {over['best_value']:.3f}",
        f"{over['gap']:.3f}",
        f"{over['spread']:.3f}",
    ]


def _borrowed(comparison: Comparison) -> Html:
    """What others' rows hid and relieved, and whose rows explain whose parts."""
    rows = [
        [f"{one['treatment']}: {site}", *(_rate(rates.get(name)) for name in CHANGED)]
        for one in comparison["fairness"]
        for site, rates in one.get("borrowed", {}).items()
    ]
    shares = [
        [f"{one['treatment']}: {site}", ", ".join(f"{n} {100 * s:.1f} %" for n, s in of.items())]
        for one in comparison["fairness"]
        for site, of in one.get("nearest", {}).items()
    ]
    title, columns = "Whose normal parts explain whose", ["", "share by contributing site"]
    return Html(
        table(["", *CHANGED.values()], rows, BORROWED)
        + details(title, table(columns, shares, words=(1,)))
    )


def _rate(rate: Mapping[str, Any] | None) -> str:
    if not rate or not rate["of"]:
        return NONE
    value, low, high = (100 * rate[name] for name in ("value", "low", "high"))
    return f"{rate['cases']} of {rate['of']}: {value:.0f} % ({low:.0f} to {high:.0f})"
