"""Every comparison that was planned: pairs of treatments, with what can be said of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from fedad.compare.plan import CENTRALISED, FEDERATED, ISOLATED, Plan
from fedad.compare.statistics import (
    ALPHA,
    Interval,
    drawable,
    effect,
    equivalence,
    holm,
    interval,
    ranked,
    too_few,
    wilcoxon,
)
from fedad.compare.treatments import Treatment, blocks, fewest_images, overall

ALL_PAIRS = 5  # so many points are compared each with each; more, with the first


@dataclass(frozen=True)
class Contrast:
    """The first treatment less the second, in one figure, on the same test images.

    `difference` is the mean over seeds and categories, `low` to `high` its 95 % interval, `low_90`
    to `high_90` the one that equivalence asks for. `p` is Wilcoxon's, `p_holm` within the family
    of all pairs of this figure. `p_equal` is that of TOST.
    """

    first: str
    second: str
    figure: str
    together: bool  # whether all sites' images are ranked in one
    blocks: int
    difference: float
    low: float
    high: float
    low_90: float
    high_90: float
    p: float
    p_holm: float
    p_equal: float
    dz: float
    rank_biserial: float
    verdict: str
    warnings: tuple[str, ...]


def contrasts(plan: Plan, some: Sequence[Treatment]) -> list[dict[str, Any]]:
    """All planned pairs in all figures; each figure is a family of tests."""
    found: list[dict[str, Any]] = []
    for figure in plan.figures:
        measured = [(a, b, _differences(a, b, figure)) for a, b in pairs(some)]
        there = [(a, b, told) for a, b, told in measured if told]
        ps = [wilcoxon(_values(told)) for _, _, told in there]
        for (a, b, told), p, adjusted in zip(there, ps, holm(ps), strict=True):
            contrast = _contrast(
                plan, a, b, figure, told, p=p, adjusted=adjusted, family=len(there)
            )
            found.append(asdict(contrast))
    return found


def pairs(some: Sequence[Treatment]) -> Iterator[tuple[Treatment, Treatment]]:
    """The points among each other (or with the first, where they are many), and each point with
    its own yardsticks."""
    points = [one for one in some if one.way == FEDERATED]
    few = len(points) <= ALL_PAIRS
    yield from combinations(points, 2) if few else ((point, points[0]) for point in points[1:])
    for way in (CENTRALISED, ISOLATED):
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


def _values(told: Mapping[tuple[str, int], np.ndarray]) -> np.ndarray:
    """(blocks,): the differences on the images as they are, rounded beyond what figures mean."""
    return np.round([drawn[0] for drawn in told.values()], 12)


def _contrast(
    plan: Plan,
    a: Treatment,
    b: Treatment,
    figure: str,
    told: Mapping[tuple[str, int], np.ndarray],
    *,
    p: float,
    adjusted: float,
    family: int,
) -> Contrast:
    values, drawn = _values(told), overall(told)
    images = fewest_images(a, list(dict.fromkeys(category for category, _ in told)))
    wide, narrow = (interval(drawn, drawable(images.values()), level) for level in (0.95, 0.90))
    p_equal, sizes = equivalence(values, plan.margin), effect(values)
    seeds = len({seed for _, seed in told})
    return Contrast(
        first=a.label,
        second=b.label,
        figure=figure,
        together=ISOLATED not in (a.way, b.way),
        blocks=len(values),
        difference=float(drawn[0]),
        low=wide.low,
        high=wide.high,
        low_90=narrow.low,
        high_90=narrow.high,
        p=p,
        p_holm=adjusted,
        p_equal=p_equal,
        dz=sizes.dz,
        rank_biserial=sizes.rank_biserial,
        verdict=verdict(
            float(drawn[0]), wide, narrow, p=adjusted, p_equal=p_equal, margin=plan.margin
        ),
        warnings=tuple(too_few(len(values), seeds, min(images.values()), family)),
    )


def verdict(
    difference: float,
    wide: Interval,
    narrow: Interval,
    *,
    p: float,
    p_equal: float,
    margin: float,
) -> str:
    """What blocks and redrawn images say alike; where they disagree, nobody can tell."""
    equal = p_equal < ALPHA and narrow.within(margin)
    if p < ALPHA and wide.excludes(0):
        word = "higher" if difference > 0 else "lower"
        return f"{word}, by less than the margin" if equal else word
    return "equivalent" if equal else "cannot tell"


def rankings(plan: Plan, some: Sequence[Treatment]) -> list[dict[str, Any]]:
    """Friedman and critical differences: points with the centralised ones on all sites' images in
    one ranking, and all treatments site by site."""
    found = []
    sharing = [one for one in some if one.way != ISOLATED]
    for figure in plan.figures:
        for together, these in ((True, sharing), (False, list(some))):
            if len(these) < 3:
                continue
            told = blocks(these, figure, together=together)
            table = np.array([[drawn[0] for drawn in row] for row in told.values()])
            if len(table) and (said := ranked(_by_label(these, np.round(table, 12)))):
                found.append({"figure": figure, "together": together, **asdict(said)})
    return found


def _by_label(some: Sequence[Treatment], table: np.ndarray) -> dict[str, np.ndarray]:
    return {one.label: column for one, column in zip(some, table.T, strict=True)}
