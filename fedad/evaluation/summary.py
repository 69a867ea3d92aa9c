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
from fedad.evaluation.counts import Counts
from fedad.evaluation.curve import Bounded
from fedad.evaluation.resampling import check_confidence, interval, tells

SCHEMA = 1


class Group(NamedTuple):
    """Some images: how many, their figures by scope, and those of each replicate ({} for none).

    Replicate 0 is not resampled: it says how far the coarse counts of replicates are off.
    """

    sizes: dict[str, dict[str, int]]
    figures: Breakdown
    replicates: Breakdown


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
    `value`, the `bound` that binning could move it by at most, and the interval `low` to `high`:
    NaN without replicates, and where their wide bins cannot tell (`resampling.tells`).

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
    return Group(sizes_by_scope(counts), break_down_counts(counts, limits), drawn)


def _describe(group: Group, confidence: float) -> dict[str, Any]:
    found: dict[str, Any] = {"by_defect": {}, "by_kind": {}}
    for scope, figures in group.figures.items():
        drawn, sizes = group.replicates.get(scope, {}), group.sizes[scope]
        entry = {
            key: _figure(one, drawn.get(key), _fewer(sizes), confidence)
            for key, one in figures.items()
        }
        described = {"sizes": sizes, "figures": entry}
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
        drawn = [group.replicates[scope][key] for group in ranked if scope in group.replicates]
        middle = mean([group.figures[scope][key] for group in ranked]) if ranked else _NONE
        images = sum(_fewer(group.sizes[scope]) for group in ranked)
        values = [float(group.figures[scope][key].value) for group in ranked]
        told = all(map(tells, values, drawn))
        found[key] = _figure(middle, mean(drawn) if drawn and told else None, images, confidence)
        found[key]["categories"] = len(ranked)
    return found


def _fewer(sizes: Mapping[str, int]) -> int:
    return min(sizes["good_images"], sizes["defective_images"])


_NONE = Bounded(np.array(np.nan), np.array(np.nan))


def _figure(
    point: Bounded, replicates: Bounded | None, images: int, confidence: float
) -> dict[str, float]:
    """`images` is how many good or defective ones there are, whichever are fewer."""
    low = high = float("nan")
    if replicates is not None and tells(float(point.value), replicates):
        low, high = interval(float(point.value), replicates.value, images, confidence)
    return {"value": float(point.value), "bound": float(point.bound), "low": low, "high": high}
