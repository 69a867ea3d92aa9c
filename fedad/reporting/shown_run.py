"""The sections on one run: curves, scores, whose rows, configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fedad.evaluation import Rate
from fedad.reporting.markup import NONE, Html, Section, details, paragraph, table
from fedad.reporting.plots import Plot, fpr_spro, matrix, roc, side_by_side
from fedad.reporting.promises import shown_rate
from fedad.reporting.scores import Sites, histogram
from fedad.reporting.shown_figures import ALL

Found = tuple[Section, list[Plot]]
Curves = Mapping[str, Mapping[str, np.ndarray]]  # category -> columns


def curve_plots(
    columns: Curves, areas: Mapping[str, Mapping[str, Any]], everyone: str = ALL
) -> Found:
    """FPR-sPRO with its limits, and ROC, a category."""
    plots, body = [], ""
    for category, drawn in columns.items():
        told = {
            k: f"{v['value']:.3f}" for k, v in areas[category].items() if v["value"] is not None
        }
        both = [fpr_spro(category, drawn, told), roc(category, drawn)]
        plots += both
        body += side_by_side(both)
    note = paragraph(
        "Beside each limit stands AUC-sPRO up to there. "
        f"The test images of {everyone} in one ranking.",
        kind="note",
    )
    return Section("curves", "Curves", note + body), plots


def score_boxes(categories: Mapping[str, Sites]) -> Found:
    """Histograms with sliders."""
    plots, body = [], ""
    for category, sites in categories.items():
        plot, box = histogram(category, sites)
        plots.append(plot)
        body += box
    note = paragraph(
        "Move a threshold to see what it would stop: chosen here it is chosen on test images, and "
        "is no result. Bars of good and of defective parts have a scale each.",
        *([_CALIBRATED] if any(_calibrated(sites) for sites in categories.values()) else [_NONE]),
        kind="note",
    )
    return Section("scores", "Scores and thresholds", note + body), plots


def thresholds(categories: Mapping[str, Sites]) -> Html:
    """What each product's calibrated threshold stops, at one site or at several."""
    rows = []
    for category, sites in categories.items():
        for site, one in sites.items():
            limit = "too few good parts" if one.threshold is None else f"{one.threshold:.4g}"
            cases = ((one.stopped, len(one.good)), (one.passed, len(one.bad)))
            shown = (
                NONE if one.threshold is None else shown_rate(Rate.exact(*pair)._asdict())
                for pair in cases
            )
            rows.append([f"{category}, {site}", limit, *shown])
    columns = ["", "threshold", "good parts stopped", "defective parts passed"]
    note = "Each product's threshold, calibrated on good parts, and what it did on the test "
    note += "images, with 95 % intervals. Parts nearest to another site's may have their own limit"
    return table(columns, rows, note)


_CALIBRATED = (
    "Calibrated thresholds come from good images that the bank was not made from. Over all sites "
    "the line starts at the middle one of their thresholds."
)
_NONE = "No calibrated threshold is known here: those of sites stay there."


def _calibrated(sites: Sites) -> bool:
    return any(one.threshold is not None for one in sites.values())


def decisions(told: Mapping[str, Any]) -> Html:
    """What the calibrated thresholds stopped, and what other sites' rows changed."""
    rows = []
    for site, one in told["sites"].items():
        for category, made in one.get("decisions", {}).items():
            other = one.get("borrowed", {}).get(category, {})
            rows.append(
                [
                    f"{site}, {category}",
                    made["calibrated_on"],
                    _rate(made["false_rejects"]),
                    _rate(made["escapes"]),
                    *(_rate(other.get(name)) for name in BORROWED),
                ]
            )
    if not rows:
        return paragraph("No threshold was calibrated: too few good images for the wished rate.")
    columns = ["", "calibrated on", "false rejects", "escapes", *BORROWED.values()]
    note = (
        "Each beside what the site's own images alone would have done, at a threshold calibrated "
    )
    note += "for these. By chance: the same between a random half of them and all"
    return table(columns, rows, note)


BORROWED = {
    "relief": "good parts that pass thanks to other sites",
    "chance_relief": "by chance",
    "masking": "defects that pass because of other sites",
    "chance_masking": "by chance",
}


def _rate(rate: Mapping[str, Any] | None) -> str:
    return shown_rate(rate) if rate and rate["of"] else NONE


MATRIX = "Whose normal parts explain whose"


def whose_rows(told: Mapping[str, Any]) -> Found:
    """The site by bank matrix: whose normal rows explain whose parts, in all and by category."""
    parts = {site: one.get("nearest", {}) for site, one in told["sites"].items()}
    categories = sorted({name for part in parts.values() for name in part})
    if not categories:
        return Section("matrix", MATRIX, paragraph("The method does not tell.")), []
    sums: dict[str, dict[str, int]] = {site: {} for site in parts}
    for site, part in parts.items():
        for patches in part.values():
            for name, count in patches.items():
                sums[site][name] = sums[site].get(name, 0) + count
    whole = matrix("nearest", "Nearest normal patches, all products", _shares(sums))
    each = [
        matrix(
            f"nearest-{name}", name, _shares({s: p[name] for s, p in parts.items() if name in p})
        )
        for name in categories
    ]
    note = paragraph(
        "Of the patches of a site's test images (row), the share whose nearest normal patch came "
        "from a site (column): what a site learns from others. Counts of patches travel, never "
        "scores."
    )
    body = note + whole.figure() + details("By product", side_by_side(each))
    body += details("What it changed, by site and product", decisions(told))
    return Section("matrix", MATRIX, body), [whole, *each]


def _shares(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    return {
        site: {name: n / sum(patches.values()) for name, n in patches.items()}
        for site, patches in counts.items()
        if patches
    }


def configuration(config: Mapping[str, Any], environment: Mapping[str, Any]) -> Found:
    """Every knob, and what the run ran on."""
    knobs = table(["knob", "value"], sorted(config.items()), words=(1,))
    versions = dict(environment.get("versions", {}))
    plain = {key: environment[key] for key in ("platform", "machine", "cpus") if key in environment}
    machine = table(["", ""], [*plain.items(), *versions.items()], words=(1,))
    body = details("All knobs", knobs) + details("Versions and machine", machine)
    return Section("configuration", "Configuration and environment", body), []
