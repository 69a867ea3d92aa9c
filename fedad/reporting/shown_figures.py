"""The section on a run's figures: by way of sharing, by product, site, defect, kind and size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from fedad.reporting.markup import NONE, Html, Section, details, html, ranged, table
from fedad.reporting.plots import Plot, side_by_side
from fedad.reporting.record import MEAN_OF_SITES, NO_RANGE, OF_SITES
from fedad.reporting.table import TOGETHER
from fedad.reporting.ways import ISOLATED, Row, by_way

Found = tuple[Section, list[Plot]]
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
    "Means over products, with 95 % intervals over test images, or why there is none: image AUROC "
    "from 5 good and 5 defective images of a product on, other figures from 20 and 20"
)
WHO = (
    "Mean of sites: every site counted once, the headline. All sites together: all test images of "
    "a product in one ranking"
)
HEADLINES = ("image_auroc", "auc_spro_0.05")
ALL = TOGETHER
MEAN = "mean over products"
OTHERS = "other defects"  # of which a site has too few to be told apart


def figures(told: Mapping[str, Any], everyone: str = ALL, sizes: Sequence[Any] = ()) -> Found:
    """Every figure with its interval, by way of sharing, and below by product, site, defect, kind
    and size of the defect.

    Args:
        everyone: whose test images stand together.
        sizes: (product, size, images, figures) rows, where images are here to be measured.
    """
    plots = [_by_product(told, figure, everyone) for figure in HEADLINES]
    caption = f"{INTERVALS}{'. ' + WHO if everyone == ALL else ''}"
    body = [
        table([MEAN, *COLUMNS.values()], _rows(told, everyone, stacked, sites=False), caption),
        side_by_side(plots),
        *_more("By site", [MEAN, *COLUMNS.values()], [*_site_rows(told, stacked)]),
        *_more("By product and site", _SIZED, [*_category_rows(told, everyone)]),
        *_more("By defect", _SIZED, [*_part_rows(told, "by_defect")]),
        *_more("By kind of defect", _SIZED, [*_part_rows(told, "by_kind")]),
        *_more("By size of defect", _SIZED, [_size_row(*row) for row in sizes], _BY_SIZE),
    ]
    return Section("figures", "Figures", "".join(body)), plots


_SIZED = ["", "good + defective", *COLUMNS.values()]
_BY_SIZE = "Federated, all good images with the defective ones of a size: marked pixels of all"


def _more(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = ""
) -> Iterator[Html]:
    """A table to open, if there is a row."""
    if rows:
        yield details(title, table(columns, rows, caption))


def rows_of(told: Mapping[str, Any], everyone: str = ALL) -> list[list[str]]:
    """The means over products as text: those of sites, which count once each whatever they say of
    their images, those of all images together where sites share a model, then of each site."""
    return _rows(told, everyone, ranged)


Cell = Callable[[Mapping[str, Any] | None], str]


def _rows(
    told: Mapping[str, Any], everyone: str, cell: Cell, *, sites: bool = True
) -> list[list[str]]:
    rows = [
        [f"{way}, {OF_SITES}", *_cells(found[MEAN_OF_SITES], cell)]
        for way, found in told.items()
        if found.get(MEAN_OF_SITES)
    ]
    rows += [
        [f"{way}, {everyone}", *_cells(one["together"]["mean"], cell)] for way, one in _joint(told)
    ]
    return [*rows, *_site_rows(told, cell)] if sites else rows


def _site_rows(told: Mapping[str, Any], cell: Cell) -> Iterator[list[str]]:
    """Each site, one way below the other."""
    for site in sorted({site for found in told.values() for site in found["sites"]}):
        for way, found in told.items():
            if site in found["sites"]:
                yield [f"{site}, {way}", *_cells(found["sites"][site]["mean"], cell)]


def _joint(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The ways in which all sites judge by one model, so that one ranking has a meaning."""
    return ((way, found) for way, found in told.items() if way != ISOLATED)


def _cells(entry: Mapping[str, Any], cell: Cell) -> list[str]:
    return [cell(entry.get(key)) for key in COLUMNS]


def stacked(one: Mapping[str, Any] | None) -> Html:
    """A value, and below it its interval or why there is none."""
    value, _, rest = ranged(one).partition(" (")
    rest = "" if rest.startswith(NO_RANGE) else rest
    more = f"<small>{html(rest.removesuffix(')'))}</small>" if rest else ""
    return Html(f"{html(value)}{more}")


def _category_rows(told: Mapping[str, Any], everyone: str) -> Iterator[list[str]]:
    """Each product at each site, and of all sites together."""
    for way, found in told.items():
        together = {everyone: found["together"]} if way != ISOLATED else {}
        for name, one in {**together, **found["sites"]}.items():
            for category, entry in one["categories"].items():
                yield _sized(f"{category}, {name}, {way}", entry)


def _part_rows(told: Mapping[str, Any], part: str) -> Iterator[list[str]]:
    """Each defect, or kind of defect, of each product, of all sites together."""
    for way, found in _joint(told):
        for category, entry in found["together"]["categories"].items():
            for name, one in entry.get(part, {}).items():
                yield _sized(f"{category}, {name}, {way}", one)


def _size_row(product: str, size: str, sizes: Mapping[str, int], found: Any) -> list[str]:
    return _sized(f"{product}, {size}", {"sizes": sizes, "figures": found})


def _sized(name: str, entry: Mapping[str, Any]) -> list[str]:
    sizes = entry.get("sizes", {})
    images = (sizes.get(key, NONE) for key in ("good_images", "defective_images"))
    return [name, " + ".join(map(str, images)), *_cells(entry["figures"], stacked)]


def _by_product(told: Mapping[str, Any], figure: str, everyone: str) -> Plot:
    """The mean of sites of each product, a mark for each way; of one site, its own."""
    names = sorted(
        {c for found in told.values() for one in _each(found) for c in one["categories"]}
    )
    rows = [
        Row(name, {way: _mean_of(_each(found), name, figure) for way, found in told.items()})
        for name in names
    ]
    whose = OF_SITES if everyone == ALL else everyone
    return by_way(f"figures-{figure}", f"{COLUMNS[figure]} by product, {whose}", rows)


def _each(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is told of each site; of one alone, what is told of all its images."""
    return list(found["sites"].values()) or [found["together"]]


def _mean_of(sites: Sequence[Mapping[str, Any]], category: str, figure: str) -> dict[str, float]:
    """The mean over the sites that have a product."""
    entries = (one["categories"].get(category) for one in sites)
    values = [one["figures"][figure]["value"] for one in entries if one]
    known = [value for value in values if value is not None and not math.isnan(value)]
    return {"value": fmean(known) if known else math.nan}
