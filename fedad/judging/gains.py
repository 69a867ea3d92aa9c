"""What each site gained over being isolated, in one run: paired by its own test images.

Replicates of both ways draw the same images (`findings.find`), so that what is hard for both
cancels. A verdict is of this run's models: how other seeds would scatter is not in it, for which
`fedad compare` runs several.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from fedad.evaluation import break_down_counts
from fedad.evaluation.resampling import tells
from fedad.judging.findings import Findings

FIGURES = ("image_auroc", "auc_spro_0.05")
GAINED, LOST, CANNOT_TELL = "gained", "lost", "cannot tell"
ALPHA = 0.05
FEWEST = 5  # good or defective images of a product: fewer scatter less than they should
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
    both = sorted({*shared} & {*alone})
    found = {
        figure: {site: gain(shared[site], alone[site], figure) for site in both}
        for figure in figures
    }
    means = {figure: _mean([*of.values()]) for figure, of in found.items()}
    every = [one for of in found.values() for one in of.values()]
    for one, p in zip(every, holm([one["p"] for one in every]), strict=True):
        one |= {"p": p, "answer": _answer(one["value"], p)}
    return {figure: {"sites": of, "mean_of_sites": means[figure]} for figure, of in found.items()}


def _mean(sites: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The gain of the mean of sites, which draw their images apart; none where a site with a gain
    has too few to say how sure it is."""
    known = [one for one in sites if not math.isnan(one["value"])]
    value = float(np.mean([one["value"] for one in known])) if known else NAN
    halves = [(one["high"] - one["low"]) / 2 for one in known]
    if not known or np.isnan(halves).any():
        return {"value": value, "low": NAN, "high": NAN, "p": NAN, "answer": CANNOT_TELL}
    half = math.sqrt(sum(one**2 for one in halves)) / len(halves)
    p = 2 * float(stats.norm.sf(abs(value) / half * stats.norm.ppf(1 - ALPHA / 2)))
    return {
        "value": value,
        "low": value - half,
        "high": value + half,
        "p": p,
        "answer": _answer(value, p),
    }


def gain(shared: Findings, alone: Findings, figure: str) -> dict[str, Any]:
    """The mean over products of a figure's difference, where both ways judged the same images."""
    drawn, values, images = [], [], 0
    telling = True
    for category in alone.report["categories"]:
        both = [one.report["categories"].get(category) for one in (shared, alone)]
        if None in both or both[0]["sizes"] != both[1]["sizes"]:
            continue
        value = both[0]["figures"][figure]["value"] - both[1]["figures"][figure]["value"]
        if math.isnan(value):
            continue
        sides = [_replicates(one, category, figure) for one in (shared, alone)]
        for side, told in zip(sides, both, strict=True):
            telling = telling and side is not None and tells(told["figures"][figure]["value"], side)
        sizes = both[0]["sizes"]
        fewer = min(sizes["good_images"], sizes["defective_images"])
        telling = telling and fewer >= FEWEST
        images += fewer
        values.append(value)
        if sides[0] is not None and sides[1] is not None:
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


def holm(ps: Sequence[float]) -> list[float]:
    """p-values of one family, adjusted; those that are NaN stay so, and count as tests."""
    order = sorted(range(len(ps)), key=lambda k: (math.isnan(ps[k]), ps[k]))
    found, highest = [NAN] * len(ps), 0.0
    for rank, k in enumerate(order):
        if not math.isnan(ps[k]):
            highest = max(highest, min(1.0, (len(ps) - rank) * ps[k]))
            found[k] = highest
    return found


def _replicates(found: Findings, category: str, figure: str) -> Any:
    """Those of one product's figure, or None where there are none."""
    counts = found.replicates.in_category(category)
    return break_down_counts(counts)["all"][figure] if counts.cells else None


def _answer(gain: float, p: float) -> str:
    if not p < ALPHA:
        return CANNOT_TELL
    return GAINED if gain > 0 else LOST
