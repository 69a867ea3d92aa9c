"""Every comparison that was planned: pairs of treatments, with what can be said of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from fedad.compare.chances import chance, chance_equal
from fedad.compare.plan import AT_SITE, CENTRALISED, FEDERATED, ISOLATED, Plan
from fedad.compare.ranges import difference_range
from fedad.compare.statistics import (
    ALPHA,
    FEWEST_SETS,
    Interval,
    drawable,
    effect,
    ranked,
    too_few,
    wilcoxon,
)
from fedad.compare.treatments import Treatment, blocks, fewest_images, overall
from fedad.evaluation.holm import holm
from fedad.evaluation.sureness import NO_SCATTER

ALL_PAIRS = 5  # so many points are compared each with each; more, with the first


@dataclass(frozen=True)
class Contrast:
    """The first treatment less the second, in one figure, on the same test images.

    `difference` is the mean over seeds and categories, `low` to `high` its 95 % interval, `low_90`
    to `high_90` the one that equivalence asks for. `p` is of redrawn images and seeds, `p_holm`
    within the family of all pairs of this figure, `p_equal` that of TOST. `p_sets` is Wilcoxon's
    over the `sets` of test images, within the same family. NaN where nobody can tell.
    """

    first: str
    second: str
    figure: str
    together: bool  # whether all sites' images are ranked in one
    sets: int
    difference: float
    low: float
    high: float
    no_interval: str  # why there is none
    low_90: float
    high_90: float
    p: float
    p_holm: float
    p_equal: float
    p_sets: float
    dz: float
    rank_biserial: float
    verdict: str
    warnings: tuple[str, ...]


def contrasts(plan: Plan, some: Sequence[Treatment]) -> list[dict[str, Any]]:
    """All planned pairs in all figures; each figure is a family of tests."""
    found: list[dict[str, Any]] = []
    for figure in plan.figures:
        measured = [(a, b, _differences(a, b, figure)) for a, b in pairs(some)]
        made = [_contrast(plan, a, b, figure, told) for a, b, told in measured if told]
        adjusted = holm([one.p for one in made])
        by_sets = holm([one.p_sets for one in made])
        for one, p, p_sets in zip(made, adjusted, by_sets, strict=True):
            found.append(asdict(_judged(plan, one, p_holm=p, p_sets=p_sets)))
    return found


def pairs(some: Sequence[Treatment]) -> Iterator[tuple[Treatment, Treatment]]:
    """The points among each other (or with the first, where they are many), and each point with
    its own yardsticks."""
    points = [one for one in some if one.way == FEDERATED]
    few = len(points) <= ALL_PAIRS
    yield from combinations(points, 2) if few else ((point, points[0]) for point in points[1:])
    for way in (CENTRALISED, ISOLATED, AT_SITE):
        for point in points:
            for one in some:
                if one.way == way and point.label in one.points:
                    yield point, one


def _differences(a: Treatment, b: Treatment, figure: str) -> dict[tuple[str, int], np.ndarray]:
    """(category, seed) -> replicates (1 + R,) of the paired difference.

    Isolated sites have no ranking in common, so these are compared site by site.
    """
    together = ISOLATED not in (a.way, b.way)
    return {
        block: one - other
        for block, (one, other) in blocks([a, b], figure, together=together).items()
    }


def over_sets(told: Mapping[tuple[str, int], np.ndarray]) -> np.ndarray:
    """(sets,): the differences on the images as they are, seeds averaged inside each product's set
    of test images; rounded beyond what figures mean."""
    by_set: dict[str, list[float]] = {}
    for (category, _), drawn in told.items():
        by_set.setdefault(category, []).append(float(drawn[0]))
    return np.round([np.mean(seeds) for seeds in by_set.values()], 12)


def _contrast(
    plan: Plan,
    a: Treatment,
    b: Treatment,
    figure: str,
    told: Mapping[tuple[str, int], np.ndarray],
) -> Contrast:
    """What can be said of one pair by itself."""
    values, drawn = over_sets(told), overall(told)
    images = fewest_images(a, list(dict.fromkeys(category for category, _ in told)))
    rest_on, seeds = drawable(images.values()), fewest_seeds(told)
    wide, narrow = (difference_range(drawn, images.values(), level) for level in (0.95, 0.90))
    sizes = effect(values)
    return Contrast(
        first=a.label,
        second=b.label,
        figure=figure,
        together=ISOLATED not in (a.way, b.way),
        sets=len(values),
        difference=float(drawn[0]),
        low=wide.low,
        high=wide.high,
        no_interval=wide.reason,
        low_90=narrow.low,
        high_90=narrow.high,
        p=(p := chance(drawn, rest_on, seeds)),
        p_holm=p,
        p_equal=chance_equal(drawn, rest_on, seeds, plan.margin),
        p_sets=wilcoxon(values),
        dz=sizes.dz,
        rank_biserial=sizes.rank_biserial,
        verdict="",
        warnings=(
            *too_few(seeds, min(images.values())),
            *((ALIKE,) if wide.reason == NO_SCATTER else ()),
        ),
    )


ALIKE = "some pairs are alike on all redrawn images, which says less the fewer there are"


def fewest_seeds(told: Mapping[tuple[str, int], np.ndarray]) -> int:
    """Of a category: how many seeds are averaged where they are fewest."""
    return min(Counter(category for category, _ in told).values())


def _judged(plan: Plan, one: Contrast, *, p_holm: float, p_sets: float) -> Contrast:
    """The contrast with what its family adds."""
    wide, narrow = Interval(one.low, one.high), Interval(one.low_90, one.high_90)
    found = verdict(one.difference, wide, narrow, p=p_holm, p_equal=one.p_equal, margin=plan.margin)
    return replace(one, p_holm=p_holm, p_sets=p_sets, verdict=found)


def verdict(
    difference: float,
    wide: Interval,
    narrow: Interval,
    *,
    p: float,
    p_equal: float,
    margin: float,
) -> str:
    """What the p of redrawn images and seeds says; where there is none, nobody can tell."""
    equal = p_equal < ALPHA and (math.isnan(narrow.low) or narrow.within(margin))
    if p < ALPHA and wide.excludes(0):
        word = "higher" if difference > 0 else "lower"
        return f"{word}, by less than the margin" if equal else word
    return "equivalent" if equal else "cannot tell"


def rankings(plan: Plan, some: Sequence[Treatment]) -> list[dict[str, Any]]:
    """Friedman and critical differences: points with the centralised ones on all sites' images in
    one ranking, and all treatments site by site. None of fewer than six sets of test images."""
    found = []
    sharing = [one for one in some if one.way != ISOLATED]
    for figure in plan.figures:
        for together, these in ((True, sharing), (False, list(some))):
            if len(these) < 3:
                continue
            table = _by_sets(these, figure, together=together)
            if len(table) and (said := ranked(_by_label(these, table))):
                found.append({"figure": figure, "together": together, **asdict(said)})
    return found


def _by_sets(some: Sequence[Treatment], figure: str, *, together: bool) -> np.ndarray:
    """(sets, treatments): the figure on each set of test images."""
    told = blocks(some, figure, together=together)
    columns = [{block: row[k] for block, row in told.items()} for k in range(len(some))]
    return np.array([over_sets(column) for column in columns]).T


def unranked(some: Sequence[Treatment], rankings: Sequence[Mapping[str, Any]]) -> str:
    """Why there are no ranks, in one line; "" where there are, or could never be."""
    if rankings or len(some) < 3:
        return ""
    return (
        f"{len(some[0].categories)} sets of test images: no Friedman test and no critical "
        f"differences below {FEWEST_SETS}; seeds share their test images and are no further sets"
    )


def _by_label(some: Sequence[Treatment], table: np.ndarray) -> dict[str, np.ndarray]:
    return {one.label: column for one, column in zip(some, table.T, strict=True)}
