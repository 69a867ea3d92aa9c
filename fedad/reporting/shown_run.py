"""The sections on one run: figures, curves, scores, pictures, whose rows, configuration."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fedad.reporting.gallery import HITS, MISSES
from fedad.reporting.markup import NONE, Html, Section, details, html, paragraph, ranged, table
from fedad.reporting.plots import Plot, fpr_spro, intervals, matrix, roc, side_by_side
from fedad.reporting.promises import shown_rate
from fedad.reporting.record import MEAN_OF_SITES, OF_SITES
from fedad.reporting.scores import Sites, histogram

COLUMNS = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "aupro_0.3": "AUPRO@0.3",
    "auc_spro_0.01": "AUC-sPRO@0.01",
    "auc_spro_0.05": "AUC-sPRO@0.05",
    "auc_spro_0.1": "AUC-sPRO@0.1",
    "auc_spro_0.3": "AUC-sPRO@0.3",
}
INTERVALS = (
    "With 95 % intervals over test images, or why there is none: image AUROC from 5 good and 5 "
    "defective images of a product on, other figures from 20 and 20"
)
HEADLINES = ("image_auroc", "auc_spro_0.05")
ALL = "all sites"
Found = tuple[Section, list[Plot]]
Curves = Mapping[str, Mapping[str, np.ndarray]]  # category -> columns


def figures(told: Mapping[str, Any], everyone: str = ALL) -> Found:
    """Every figure with its interval, by way of sharing, by category and by site.

    `everyone` is whose test images stand together.
    """
    plots = [_dots(told, figure) for figure in HEADLINES]
    columns = ["mean over categories", *COLUMNS.values()]
    body = [
        side_by_side(plots),
        table(columns, rows_of(told, everyone), INTERVALS),
        *(
            details(f"{way}: by category and site", _by_category(way, one, everyone))
            for way, one in told.items()
        ),
    ]
    return Section("figures", "Figures", "".join(body)), plots


def rows_of(told: Mapping[str, Any], everyone: str = ALL) -> list[list[str]]:
    """The means over categories: of all sites where they share a bank, of sites that count once
    each whatever they say of their images, then of each."""
    rows = [[f"{way}, {everyone}", *_cells(one["together"]["mean"])] for way, one in _joint(told)]
    rows += [
        [f"{way}, {OF_SITES}", *_cells(found[MEAN_OF_SITES])]
        for way, found in told.items()
        if found.get(MEAN_OF_SITES)
    ]
    for way, found in told.items():
        rows += [[f"{way}, {site}", *_cells(one["mean"])] for site, one in found["sites"].items()]
    return rows


def _joint(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The ways in which all sites judge by one bank, so that one ranking has a meaning."""
    return ((way, found) for way, found in told.items() if way != "isolated")


def _cells(entry: Mapping[str, Any]) -> list[str]:
    return [ranged(entry.get(key)) for key in COLUMNS]


def _by_category(way: str, found: Mapping[str, Any], everyone: str) -> Html:
    rows = []
    together = {everyone: found["together"]} if any(_joint({way: found})) else {}
    for name, told in {**together, **found["sites"]}.items():
        for category, one in told["categories"].items():
            sizes = one["sizes"]
            images = f"{sizes['good_images']} + {sizes['defective_images']}"
            rows.append([f"{name}, {category}", images, *_cells(one["figures"])])
    return table(["", "good + defective", *COLUMNS.values()], rows)


def _dots(told: Mapping[str, Any], figure: str) -> Plot:
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for way, found in told.items():
        if way != "isolated":
            rows += [
                (f"{way}: {category}", one["figures"][figure])
                for category, one in found["together"]["categories"].items()
            ]
        rows += [
            (f"{way}: {site}", one["mean"].get(figure, {"value": None}))
            for site, one in found["sites"].items()
        ]
    name = COLUMNS[figure]
    return intervals(f"figures-{figure}", name, rows, axis=f"{name}, 95 % interval")


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
    note = "Relieved: good parts that the site's own rows would have stopped, at a threshold "
    note += "calibrated for these. Masked: defects that they would have stopped, hidden by another "
    note += "site's normal row. By chance: the same between a random half of the site's own "
    note += "training images and all of them"
    return table(columns, rows, note)


BORROWED = {
    "relief": "relieved",
    "chance_relief": "by chance",
    "masking": "masked",
    "chance_masking": "by chance",
}


def _rate(rate: Mapping[str, Any] | None) -> str:
    return shown_rate(rate) if rate and rate["of"] else NONE


def whose_rows(told: Mapping[str, Any]) -> Found:
    """The site by bank matrix: whose normal rows explain whose parts, in all and by category."""
    parts = {site: one.get("nearest", {}) for site, one in told["sites"].items()}
    categories = sorted({name for part in parts.values() for name in part})
    if not categories:
        return Section("matrix", "Whose rows", paragraph("The method does not tell.")), []
    sums: dict[str, dict[str, int]] = {site: {} for site in parts}
    for site, part in parts.items():
        for patches in part.values():
            for name, count in patches.items():
                sums[site][name] = sums[site].get(name, 0) + count
    whole = matrix("nearest", "Nearest normal rows, all products", _shares(sums))
    each = [
        matrix(
            f"nearest-{name}", name, _shares({s: p[name] for s, p in parts.items() if name in p})
        )
        for name in categories
    ]
    note = paragraph(
        "Of a site's test patches (row), the share whose nearest normal row came from a site "
        "(column). Counts of patches travel, never scores."
    )
    body = note + whole.figure() + details("By product", side_by_side(each)) + decisions(told)
    return Section("matrix", "Whose rows", body), [whole, *each]


def _shares(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    return {
        site: {name: n / sum(patches.values()) for name, n in patches.items()}
        for site, patches in counts.items()
        if patches
    }


def gallery(entries: Sequence[Mapping[str, Any]]) -> Section:
    """The surest hits and the worst misses: part, heat map, mask, and the nearest normal row."""
    body = ""
    for sort, title in ((HITS, "Surest hits"), (MISSES, "Worst misses")):
        shown = [_picture(entry) for entry in entries if entry["sort"] == sort]
        if shown:
            body += f'<h3>{title}</h3><div class="gallery">{"".join(shown)}</div>'
    note = paragraph(
        "The part, its map over it, and the mask in green. One fixed scale a category, measured on "
        "the bank: twice the usual gap between normal rows is dark red. No map is stretched.",
        kind="note",
    )
    missing = paragraph("Pictures stay at the sites: a server has none.")
    return Section("gallery", "Gallery", note + body if body else missing)


def _picture(entry: Mapping[str, Any]) -> str:
    near = entry.get("nearest")
    whose = f"; nearest normal row: {near['site']}, {near['distance']:.2f} away" if near else ""
    words = (
        f"{entry['site']}: {entry['image']}, score {entry['score']:.2f}, "
        f"colours from {entry['scale'][0]:.3g} to {entry['scale'][1]:.3g}{whose}"
    )
    source = base64.b64encode(_jpeg(Path(entry["path"]))).decode()
    return (
        f'<figure><img alt="{html(words)}" src="data:image/jpeg;base64,{source}">'
        f"<figcaption>{html(words)}</figcaption></figure>"
    )


def _jpeg(path: Path) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def configuration(config: Mapping[str, Any], environment: Mapping[str, Any]) -> Found:
    """Every knob, and what the run ran on."""
    knobs = table(["knob", "value"], sorted(config.items()), words=(1,))
    versions = dict(environment.get("versions", {}))
    plain = {key: environment[key] for key in ("platform", "machine", "cpus") if key in environment}
    machine = table(["", ""], [*plain.items(), *versions.items()], words=(1,))
    body = details("All knobs", knobs) + details("Versions and machine", machine)
    return Section("configuration", "Configuration and environment", body), []
