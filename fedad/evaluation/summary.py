"""Figures -> a report that JSON can hold, with intervals from the replicates of a bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fedad.evaluation.breakdown import (
    LIMITS,
    Breakdown,
    break_down_counts,
    check_limits,
    mean,
    scopes,
)
from fedad.evaluation.counts import IMAGES, Counts
from fedad.evaluation.curve import Bounded
from fedad.evaluation.resampling import check_confidence, interval, tells
from fedad.evaluation.sureness import (
    FEW,
    FEW_IMAGES,
    NO_SCATTER,
    NOT_REDRAWN,
    NOTHING,
    WIDE_BINS,
    Range,
    Sureness,
    least_range,
    mean_range,
)

SCHEMA = 1
AUROC = "image_auroc"  # whose intervals are computed, not redrawn


class Group(NamedTuple):
    """Some images: how many, their figures by scope, and those of each replicate ({} for none).

    Replicate 0 is not resampled: it says how far the coarse counts of replicates are off. `ranked`
    says by scope how sure its image AUROC is.
    """

    sizes: dict[str, dict[str, int]]
    figures: Breakdown
    replicates: Breakdown
    ranked: dict[str, Sureness]


def summarise(
    counts: Counts,
    replicates: Counts | None = None,
    *,
    limits: Sequence[float] = LIMITS,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """All figures of `counts`, one site's or the sum, with intervals from resampled `replicates`.

    `pooled` ranks the images of all categories together, `categories` ranks each by itself. `mean`
    and `mean_by_kind` are over the categories that have something to rank. Every figure is a
    `value`, the `bound` that binning could move it by at most, and the interval `low` to `high`, or
    NaN and the reason for `no_interval`: that of image AUROC is computed from the counts, from five
    images a side on (`sureness.py`); others take replicates and 20 images a side.

    Raises:
        ConfigError: limits or a confidence that are none.
    """
    limits, confidence = check_limits(limits), check_confidence(confidence)
    groups = {
        category: _group(
            counts.in_category(category), replicates and replicates.in_category(category), limits
        )
        for category in counts.categories
    }
    alone = [*groups.values()] if len(groups) == 1 else []
    pooled = alone[0] if alone else _group(counts, replicates, limits)
    return {"pooled": _describe(pooled, confidence)} | assemble(groups, limits, confidence)


def assemble(
    groups: Mapping[str, Group], limits: Sequence[float], confidence: float
) -> dict[str, Any]:
    """The report of some categories and of their mean."""
    return {
        "schema": SCHEMA,
        "limits": list(limits),
        "confidence": confidence,
        "mean": _mean(groups, "all", confidence),
        "mean_by_kind": {
            scope.removeprefix("kind:"): _mean(groups, scope, confidence)
            for scope in sorted({name for group in groups.values() for name in group.figures})
            if scope.startswith("kind:")
        },
        "categories": {name: _describe(group, confidence) for name, group in groups.items()},
    }


def sizes_by_scope(counts: Counts) -> dict[str, dict[str, int]]:
    """How many images, regions and pixels each scope has; the mean of the kinds has all."""
    found = {
        name: counts.only(scope.__contains__).sizes()
        for name, scope in scopes(counts.cells).items()
    }
    return found | {"kind:mean": found["all"]}


def _group(counts: Counts, replicates: Counts | None, limits: Sequence[float]) -> Group:
    drawn = break_down_counts(replicates, limits) if replicates and replicates.cells else {}
    figures = break_down_counts(counts, limits)
    return Group(sizes_by_scope(counts), figures, drawn, ranked_by_scope(counts))


def ranked_by_scope(counts: Counts) -> dict[str, Sureness]:
    """How sure the image AUROC of each scope is; not of the mean of kinds."""
    return {
        name: Sureness.of(
            counts.row(IMAGES, lambda cell, of=scope: cell in of and cell.is_good()),  # type: ignore[misc]
            counts.row(IMAGES, lambda cell, of=scope: cell in of and cell.is_bad()),  # type: ignore[misc]
        )
        for name, scope in scopes(counts.cells).items()
    }


def _describe(group: Group, confidence: float) -> dict[str, Any]:
    found: dict[str, Any] = {"by_defect": {}, "by_kind": {}}
    for scope, figures in group.figures.items():
        entry = {
            key: _figure(one, _range(group, scope, key, confidence)) for key, one in figures.items()
        }
        described = {"sizes": group.sizes[scope], "figures": entry}
        part, _, name = scope.partition(":")
        if part == "all":
            found |= described
        else:
            found[f"by_{part}"][name] = described
    return found


def _mean(groups: Mapping[str, Group], scope: str, confidence: float) -> dict[str, Any]:
    """Each figure's mean over the categories that have it, with how many those are."""
    found, there = {}, [group for group in groups.values() if scope in group.figures]
    for key in there[0].figures[scope] if there else ():
        ranked = [group for group in there if not np.isnan(group.figures[scope][key].value)]
        middle = mean([group.figures[scope][key] for group in ranked]) if ranked else _NONE
        found[key] = _figure(middle, _range_of_mean(ranked, scope, key, confidence))
        found[key]["categories"] = len(ranked)
    return found


def _range(group: Group, scope: str, key: str, confidence: float) -> Range:
    """The interval of one figure of one scope, or why there is none."""
    point, drawn = group.figures[scope][key], group.replicates.get(scope, {}).get(key)
    if np.isnan(point.value):
        return Range.none(NOTHING)
    if drawn is None:
        return Range.none(NOT_REDRAWN)
    if key == AUROC:
        if scope in group.ranked:
            return group.ranked[scope].interval(confidence, float(point.bound))
        kinds = [one for one in group.ranked if one.startswith("kind:")]
        parts = [_range(group, kind, key, confidence) for kind in kinds]
        return least_range(float(point.value), parts)
    return _redrawn(float(point.value), [drawn], [_fewer(group.sizes[scope])], confidence)


def _range_of_mean(groups: Sequence[Group], scope: str, key: str, confidence: float) -> Range:
    points = [group.figures[scope][key] for group in groups]
    ranges = [_range(group, scope, key, confidence) for group in groups]
    value = float(mean(points).value) if points else float("nan")
    reasons = [one.reason for one in ranges if one.reason in (NOTHING, NOT_REDRAWN)]
    if key == AUROC or reasons or not groups:
        values = [float(point.value) for point in points]
        return mean_range(value, list(zip(values, ranges, strict=True)))
    drawn = [group.replicates[scope][key] for group in groups]
    if not all(tells(float(p.value), d) for p, d in zip(points, drawn, strict=True)):
        return Range.none(WIDE_BINS)
    return _redrawn(value, drawn, [_fewer(group.sizes[scope]) for group in groups], confidence)


def _redrawn(
    value: float, drawn: Sequence[Bounded], images: Sequence[int], confidence: float
) -> Range:
    """The interval of a mean from replicates, each of so many images a side."""
    if min(images) < FEW:
        return Range.none(FEW_IMAGES.format(FEW))
    replicates = mean(drawn)
    if not tells(value, replicates):
        return Range.none(WIDE_BINS)
    low, high = interval(value, replicates.value, sum(images), confidence)
    return Range(low, high) if low < high else Range.none(NO_SCATTER)


def _fewer(sizes: Mapping[str, int]) -> int:
    return min(sizes["good_images"], sizes["defective_images"])


_NONE = Bounded(np.array(np.nan), np.array(np.nan))


def _figure(point: Bounded, range_: Range) -> dict[str, Any]:
    return {
        "value": float(point.value),
        "bound": float(point.bound),
        "low": range_.low,
        "high": range_.high,
        "no_interval": range_.reason,
    }
