"""Figures -> the table that a run prints: a site a line, a way of sharing a column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fedad.plumbing.console import add_row, table
from fedad.reporting.markup import ranged
from fedad.reporting.record import OF_SITES, mean_of_sites, number

if TYPE_CHECKING:
    from rich.table import Table

TOGETHER = "all sites together"
ISOLATED = "isolated"
HEADLINE = {"image_auroc": "image AUROC", "auc_spro_0.05": "AUC-sPRO@0.05"}


def site_tables(figures: Mapping[str, Any]) -> list[Table]:
    """A table for each headline figure: a site a line, a way of sharing a column.

    A site's figure is its mean over products. Below stand the mean of sites, in which each counts
    once and those with nothing to rank not at all, and that of all sites together.
    """
    return [_table(figures, key, title) for key, title in HEADLINE.items()]


def _table(figures: Mapping[str, Any], key: str, title: str) -> Table:
    made = table(f"{title}, each site's own test images", ("site", *figures))
    for site in sorted({site for found in figures.values() for site in found["sites"]}):
        told = (found["sites"].get(site, {}) for found in figures.values())
        add_row(made, site, *(_ranged(one, key) for one in told))
    made.add_section()
    add_row(made, OF_SITES, *(_shown(mean_over(found, key)) for found in figures.values()))
    add_row(made, TOGETHER, *(_shown(_together(*pair, key)) for pair in figures.items()))
    return made


def mean_over(found: Mapping[str, Any], key: str) -> float:
    """A figure's mean over sites, each counted once, whatever it says of its images: the
    headline."""
    return number(mean_of_sites(found["sites"]).get(key, {}).get("value"))


def _mean(told: Mapping[str, Any], key: str) -> float:
    """A site's figure as the mean over its categories, NaN where it has nothing to rank."""
    return number(told.get("mean", {}).get(key, {}).get("value"))


def _together(way: str, found: Mapping[str, Any], key: str) -> float:
    """The figure of all test images of a product in one ranking, the mean over products: not where
    each site has a model of its own, whose scores do not compare."""
    return math.nan if way == ISOLATED else _mean(found["together"], key)


def _ranged(told: Mapping[str, Any], key: str) -> str:
    """A site's figure with its interval, or why there is none."""
    figure = told.get("mean", {}).get(key)
    return "-" if math.isnan(_mean(told, key)) else ranged(figure)


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
