"""Figures -> the table that a run prints: a site a line, a way of sharing a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from fedad.reporting.record import number

HEADLINE = {"image_auroc": "image AUROC", "auc_spro_0.05": "AUC-sPRO@0.05"}


def site_table(figures: Mapping[str, Any]) -> Table:
    """Each site's headline figures under every way of sharing, means over its categories.

    The last line is their mean over sites by test images; sites with nothing to rank are left out.
    """
    table = Table(title="mean over categories; each site's own test images")
    table.add_column("site")
    for name in HEADLINE.values():
        for way in figures:
            table.add_column(f"{name}\n{way}", justify="right")
    for site in sorted({site for found in figures.values() for site in found["sites"]}):
        cells = [
            _shown(_mean(found["sites"].get(site, {}), key))
            for key in HEADLINE
            for found in figures.values()
        ]
        table.add_row(site, *cells)
    table.add_section()
    averages = [average(found, key) for key in HEADLINE for found in figures.values()]
    table.add_row("mean by test images", *(_shown(value) for value in averages))
    return table


def average(found: Mapping[str, Any], key: str) -> float:
    """A figure's mean over sites, weighted by their test images; sites without it are left out."""
    total = weights = 0.0
    for told in found["sites"].values():
        value = _mean(told, key)
        if not math.isnan(value):
            images = _test_images(told)
            total, weights = total + images * value, weights + images
    return total / weights if weights else math.nan


def _mean(told: Mapping[str, Any], key: str) -> float:
    """A site's figure as the mean over its categories, NaN where it has nothing to rank."""
    return number(told.get("mean", {}).get(key, {}).get("value"))


def _test_images(told: Mapping[str, Any]) -> int:
    sizes = told["pooled"]["sizes"]
    return int(sizes["good_images"] + sizes["defective_images"])


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
