"""Figures -> the table that a run prints: a site a line, a way of sharing a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from fedad.reporting.record import number

HEADLINE = {"image_auroc": "image AUROC", "auc_spro_0.05": "AUC-sPRO@0.05"}


def site_tables(figures: Mapping[str, Any]) -> list[Table]:
    """A table for each headline figure: a site a line, a way of sharing a column.

    A site's figure is its mean over categories. The last line is the mean over sites by test
    images; sites with nothing to rank are left out.
    """
    return [_table(figures, key, title) for key, title in HEADLINE.items()]


def _table(figures: Mapping[str, Any], key: str, title: str) -> Table:
    table = Table(title=f"{title}, each site's own test images", title_justify="left")
    table.add_column("site")
    for way in figures:
        table.add_column(way, justify="right")
    for site in sorted({site for found in figures.values() for site in found["sites"]}):
        told = (found["sites"].get(site, {}) for found in figures.values())
        table.add_row(site, *(_shown(_mean(one, key)) for one in told))
    table.add_section()
    table.add_row("mean", *(_shown(average(found, key)) for found in figures.values()))
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
