"""AUC-sPRO as AutoVI's official evaluator computes it, threshold for threshold.

Its curve has at most about 1,050 points: 50 quantiles of the scores, then up to ten rounds that
halve the widest gaps. The exact curve differs by up to 7e-5 on small sets and needs none of this;
the mode is for figures that have to be comparable to published ones to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.errors import DataError
from fedad.evaluation.exact import Pool, gather
from fedad.evaluation.scored import Scored

PIXELS = 10_000_000  # of more, the quantiles are drawn from a sample
QUANTILES = 50
MARGIN = 1e-6  # beyond the highest and lowest score
DISTANCE = 0.001  # of neighbouring points, from which on their gap is worth halving
ROUNDS = 10
AT_MOST, AT_LEAST = 100, 20  # gaps halved a round; thresholds added a round


def official_areas(
    images: Sequence[Scored],
    limits: Sequence[float],
    rng: np.random.RandomState | np.random.Generator,
) -> list[float]:
    """The AUC-sPRO for each limit.

    Args:
        rng: draws the sample above ten million pixels. The evaluator's own draw is not seeded;
            numpy's `RandomState(seed)` gives what it gives after `np.random.seed(seed)`.

    Raises:
        DataError: maps of several sizes, which the evaluator cannot read.
    """
    if len({image.map.shape for image in images}) > 1:
        first, other = list({image.map.shape: image for image in images}.values())[:2]
        raise DataError(
            f"{other.name} is {other.map.shape[1]} x {other.map.shape[0]}, {first.name} "
            f"{first.map.shape[1]} x {first.map.shape[0]}: the official evaluator takes one size a "
            "category; the exact mode takes all"
        )
    pool = gather(images)
    if not pool.regions or not len(pool.negative):
        return [float("nan")] * len(limits)
    thresholds = _first_thresholds(images, rng)
    points = _points(pool, thresholds)
    for _ in range(ROUNDS):
        added = _halve(thresholds, points)
        thresholds = np.concatenate([thresholds, added])
        points = np.concatenate([points, _points(pool, added)], axis=1)
        order = np.argsort(-thresholds, kind="stable")
        thresholds, points = thresholds[order], points[:, order]
    return [_area(points[0], points[1], limit) for limit in limits]


def _first_thresholds(
    images: Sequence[Scored], rng: np.random.RandomState | np.random.Generator
) -> np.ndarray:
    """(T,) descending: quantiles of the scores, and one threshold beyond each end."""
    maps = [image.map.ravel() for image in images]
    highest = max(float(scores.max()) for scores in maps)
    lowest = min(float(scores.min()) for scores in maps)
    if len(maps) * len(maps[0]) > PIXELS:
        maps = [rng.choice(scores, PIXELS // len(maps), replace=False) for scores in maps]
    scores = np.sort(np.concatenate(maps)).astype(float)
    inner = scores[np.linspace(0, len(scores) - 1, QUANTILES, dtype=int)[1:-1]]
    below = min(lowest - MARGIN, np.nextafter(lowest, -np.inf))  # where 1e-6 is lost in rounding
    return np.unique([highest + MARGIN, below, *inner])[::-1]


def _points(pool: Pool, thresholds: np.ndarray) -> np.ndarray:
    """(2, T): the false-positive rate and the mean sPRO of the scores above each threshold."""
    covered = np.zeros(len(thresholds))
    for scores, saturation in pool.regions:
        found = len(scores) - np.searchsorted(scores, thresholds, side="right")
        covered += np.minimum(found / saturation, 1)
    passed = pool.negative.above(thresholds)
    return np.stack([passed / len(pool.negative), covered / len(pool.regions)])


def _halve(thresholds: np.ndarray, points: np.ndarray) -> np.ndarray:
    """New thresholds within the widest gaps; where few gaps are wide, several in each.

    Whether two gaps are equally wide hangs on the last bit, so the sums run as the evaluator's do.
    """
    gaps = np.diff(points[::-1]).T.copy()  # (T - 1, 2)
    distance = np.sqrt(np.vecdot(gaps, gaps))
    large = np.abs(gaps.prod(axis=1)) / 2 > DISTANCE**2 / 4
    wide = np.flatnonzero((distance > DISTANCE) & large)
    wide = wide[np.argsort(-distance[wide], kind="stable")][:AT_MOST]
    added, spare, length = [], max(AT_LEAST - len(wide), 0), sum(distance[wide])
    for gap in wide:
        extra = round(distance[gap] / length * spare)
        spare, length = spare - extra, length - distance[gap]
        added.append(np.linspace(thresholds[gap], thresholds[gap + 1], 3 + extra)[1:-1])
    return np.concatenate([np.empty(0), *added])


def _area(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    """The share of [0, limit] x [0, 1] below the points, the last piece cut at the limit."""
    inside = np.searchsorted(x, limit, side="right")
    at_limit = np.interp(limit, x, y) if x[inside - 1] < limit else y[inside - 1]
    xs, ys = np.append(x[:inside], limit), np.append(y[:inside], at_limit)
    return float(np.trapezoid(ys, xs) / limit)
