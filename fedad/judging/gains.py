"""What each site gained over being isolated, in one run: paired by its own test images.

Replicates of both ways draw the same images (`findings.find`), so that what is hard for both
cancels. A verdict is of this run's models: how other seeds would scatter is not in it, for which
`fedad compare` runs several.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from fedad.evaluation import break_down_counts
from fedad.evaluation.holm import holm
from fedad.evaluation.resampling import tells
from fedad.judging.findings import Findings

FIGURES = ("image_auroc", "auc_spro_0.05")
GAINED, LOST, CANNOT_TELL = "gained", "lost", "cannot tell"
ALPHA = 0.05
FEWEST = 5  # good or defective images of a product: fewer scatter less than they should
FEWEST_SITES = 5  # by whose scatter a mean of sites is sure
NAN = math.nan


def gains_of(
    shared: Mapping[str, Findings],
    alone: Mapping[str, Findings],
    figures: Sequence[str] = FIGURES,
) -> dict[str, dict[str, Any]]:
    """Figure -> `sites`, each one's gain, and `mean_of_sites`, with whether it is more than chance
    would give.

    All sites and figures are one family of tests, by Holm's step-down method (1979); the means of
    sites are tests of their own.

    Args:
        shared: each site's findings by the model of all.
        alone: each site's by its own model, on the same images where it can judge them.

    Returns:
        `value`, the 95 % interval `low` to `high` of this gain alone, `p` (all three NaN where
        nothing can be said) and the `answer`.
    """
    by_site = {
        site: _gains(shared[site], alone[site], figures) for site in sorted({*shared} & {*alone})
    }
    found = {figure: {site: one[figure] for site, one in by_site.items()} for figure in figures}
    means = {figure: _mean([*of.values()]) for figure, of in found.items()}
    every = [one for of in found.values() for one in of.values()]
    for one, p in zip(every, holm([one["p"] for one in every]), strict=True):
        one |= {"p": p, "answer": _answer(one["value"], p)}
    return {figure: {"sites": of, "mean_of_sites": means[figure]} for figure, of in found.items()}


def _mean(sites: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The gain of the mean of sites, which draw their images apart.

    `over` says what it is sure by: `images`, where each site says how sure its gain is; else
    `sites`, by how the gains of `FEWEST_SITES` or more scatter (Student's t). Of fewer there is
    no interval.
    """
    known = [one for one in sites if not math.isnan(one["value"])]
    value = float(np.mean([one["value"] for one in known])) if known else NAN
    halves = [(one["high"] - one["low"]) / 2 for one in known]
    if known and not np.isnan(halves).any():
        half = math.sqrt(sum(one**2 for one in halves)) / len(halves)
        p = 2 * float(stats.norm.sf(abs(value) / half * stats.norm.ppf(1 - ALPHA / 2)))
        over = "images"
    else:
        half, p = _by_scatter([one["value"] for one in known])
        over = "sites"
    return {
        "value": value,
        "low": value - half,
        "high": value + half,
        "p": p,
        "over": over,
        "answer": _answer(value, p),
    }


def _by_scatter(gains: Sequence[float]) -> tuple[float, float]:
    """Half the 95 % interval of the mean of gains, one a site, and the p of none; NaN of few
    sites, or of gains that are equal."""
    count = len(gains)
    error = float(np.std(gains, ddof=1)) / math.sqrt(count) if count >= FEWEST_SITES else 0.0
    if not error > 0:
        return NAN, NAN
    half = error * float(stats.t.ppf(1 - ALPHA / 2, count - 1))
    return half, 2 * float(stats.t.sf(abs(np.mean(gains)) / error, count - 1))


def _gains(shared: Findings, alone: Findings, figures: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Figure -> one site's gain: the mean over products of its difference, where both ways judged
    the same images."""
    products = [_product(shared, alone, category) for category in _judged_by_both(shared, alone)]
    return {figure: _gain(products, figure) for figure in figures}


class Product(NamedTuple):
    """A product of one site: its figures and their replicates (none where nothing was redrawn), by
    the model of all and by the site's own, on so many images a side."""

    told: tuple[Mapping[str, Any], Mapping[str, Any]]
    drawn: tuple[Mapping[str, Any], Mapping[str, Any]]
    images: int


def _judged_by_both(shared: Findings, alone: Findings) -> Iterator[str]:
    """The products whose images both ways judged."""
    for category, told in alone.report["categories"].items():
        other = shared.report["categories"].get(category)
        if other is not None and other["sizes"] == told["sizes"]:
            yield category


def _product(shared: Findings, alone: Findings, category: str) -> Product:
    first, second = (one.report["categories"][category] for one in (shared, alone))
    sizes = first["sizes"]
    return Product(
        (first["figures"], second["figures"]),
        (_replicates(shared, category), _replicates(alone, category)),
        min(sizes["good_images"], sizes["defective_images"]),
    )


def _gain(products: Sequence[Product], figure: str) -> dict[str, Any]:
    drawn, values, images, telling = [], [], 0, True
    for one in products:
        value = one.told[0][figure]["value"] - one.told[1][figure]["value"]
        if math.isnan(value):
            continue
        values.append(value)
        images += one.images
        sides = [side[figure] for side in one.drawn if figure in side]
        telling = (
            telling
            and one.images >= FEWEST
            and len(sides) == 2
            and all(tells(t[figure]["value"], d) for t, d in zip(one.told, sides, strict=True))
        )
        if telling:
            drawn.append(sides[0].value - sides[1].value)
    if not values:
        return {"value": NAN, "low": NAN, "high": NAN, "p": NAN}
    value = float(np.mean(values))
    if not telling:
        return {"value": value, "low": NAN, "high": NAN, "p": NAN}
    return {"value": value, **sure(value, np.mean(drawn, axis=0), images)}


def sure(value: float, drawn: np.ndarray, images: int) -> dict[str, float]:
    """The interval of a difference and the p of none, by Student's t of its scatter.

    Args:
        drawn: (1 + R,), the first on the images as they are.
        images: of the side with fewer, over all products. Redrawing n of them scatters by
            sqrt((n - 1) / n) of what new ones would.
    """
    some = drawn[1:][~np.isnan(drawn[1:])]
    if images < 2 or some.size < 2:
        return {"low": NAN, "high": NAN, "p": NAN}
    scatter = float(some.std(ddof=1)) * math.sqrt(images / (images - 1))
    if scatter <= 1e-12:
        return {"low": NAN, "high": NAN, "p": NAN}
    half = scatter * float(stats.t.ppf(1 - ALPHA / 2, images - 1))
    p = 2 * float(stats.t.sf(abs(value) / scatter, images - 1))
    return {"low": value - half, "high": value + half, "p": p}


def _replicates(found: Findings, category: str) -> Mapping[str, Any]:
    """Those of each of one product's figures; empty where there are none."""
    counts = found.replicates.in_category(category)
    return break_down_counts(counts)["all"] if counts.cells else {}


def _answer(gain: float, p: float) -> str:
    if not p < ALPHA:
        return CANNOT_TELL
    return GAINED if gain > 0 else LOST
