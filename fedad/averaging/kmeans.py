"""Weighted k-means: points that stand for many -> fewer that stand for the same many.

Lloyd's iterations from k-means++ starts (Arthur and Vassilvitskii, SODA 2007). The same points,
weights and stream give the same centres; equally near ones are decided for the first. Means are
float64. Which centre is nearest is found by products of the points' own float type.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BLOCK = 2048  # points whose distances to all centres are in memory at a time
CANCELLED = 1e-3  # of two squared lengths: a smaller squared distance is measured by differences
ENOUGH = 1e-4  # of the error: iterations end when one takes off less


class Clusters(NamedTuple):
    """Centres (K, D) float64, the centre of each point (N,) int64, and how far points are from
    theirs: the weighted mean of squares."""

    centres: np.ndarray
    labels: np.ndarray
    error: float


def kmeans(
    points: np.ndarray,
    weights: np.ndarray,
    size: int,
    *,
    rng: np.random.Generator,
    iterations: int = 50,
    restarts: int = 1,
) -> Clusters:
    """The best of `restarts` k-means++ starts: at most `size` clusters, none of them empty.

    Args:
        points: (N, D) float32 or float64, N at least 1.
        weights: (N,), above 0: how much each point counts.
        size: K wanted. Fewer come where fewer points differ.

    O(N K D) time for a start and for an iteration.
    """
    tries = [
        lloyd(points, weights, plus_plus(points, weights, size, rng), iterations=iterations)
        for _ in range(restarts)
    ]
    return min(tries, key=lambda one: one.error)


def plus_plus(
    points: np.ndarray, weights: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """(K, D): a start, K at most `size`: the next point is drawn by its weight times its squared
    distance to the nearest that was drawn, so that no two are the same."""
    known = points - points.mean(0)
    least = np.full(len(known), np.inf)
    chances = weights.astype(np.float64)
    rows: list[int] = []
    lengths = np.einsum("nd,nd->n", known, known)
    while len(rows) < size and (total := chances.sum()) > 0:
        pick = int(np.searchsorted(np.cumsum(chances), rng.random() * total, side="right"))
        pick = min(pick, int(np.flatnonzero(chances)[-1]))
        rows.append(pick)
        squares = lengths + lengths[pick] - 2 * (known @ known[pick])
        near = np.flatnonzero(squares < CANCELLED * (lengths + lengths[pick]))
        off = known[near] - known[pick]
        squares[near] = np.einsum("nd,nd->n", off, off)
        np.minimum(least, squares, out=least)
        chances = weights * least
    return points[rows].astype(np.float64)


def lloyd(
    points: np.ndarray, weights: np.ndarray, start: np.ndarray, *, iterations: int
) -> Clusters:
    """Clusters from the centres `start` (K, D), until the error hardly falls.

    A cluster that is left empty takes the point that adds most to the error, if it is off its
    centre; else there are fewer clusters. With `iterations` = 0 points are assigned, and no centre
    moves.
    """
    centres = start.astype(np.float64)
    labels, squares = assigned(points, centres)
    error = float(np.average(squares, weights=weights))
    for _ in range(iterations):
        centres, labels = _repaired(points, weights, centres, labels, squares)
        centres = means(points, weights, labels, len(centres))
        labels, squares = assigned(points, centres)
        before, error = error, float(np.average(squares, weights=weights))
        if before - error <= ENOUGH * before:
            break
    kept, labels = np.unique(labels, return_inverse=True)
    return Clusters(centres[kept], labels, error)


def assigned(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64: the nearest centre of each point, of equally near ones the first; (N,) float64:
    its squared distance."""
    labels, squares = np.empty(len(points), np.int64), np.empty(len(points))
    mean = centres.mean(0)
    known = (centres - mean).astype(points.dtype)
    lengths = np.einsum("kd,kd->k", known, known)
    for at in range(0, len(points), BLOCK):
        some = points[at : at + BLOCK]
        found = (lengths - 2 * ((some - mean).astype(points.dtype) @ known.T)).argmin(1)
        off = some - centres[found]
        labels[at : at + BLOCK] = found
        squares[at : at + BLOCK] = np.einsum("nd,nd->n", off, off)
    return labels, squares


def means(points: np.ndarray, weights: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """(K, D) float64: the weighted mean of each cluster's points, in the order of the points; K is
    `size`, and none of the clusters is empty."""
    order = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[order], np.arange(size))
    heavy = points[order] * weights[order, None].astype(np.float64)
    return np.add.reduceat(heavy, first) / np.add.reduceat(weights[order], first)[:, None]


def _repaired(
    points: np.ndarray,
    weights: np.ndarray,
    centres: np.ndarray,
    labels: np.ndarray,
    squares: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Centres and labels without an empty cluster."""
    counts = np.bincount(labels, minlength=len(centres))
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return centres, labels
    centres, labels, left = centres.copy(), labels.copy(), weights * squares
    for cluster in empty.tolist():
        worst = int(left.argmax())
        if left[worst] <= 0:
            break
        centres[cluster], labels[worst], left[worst] = points[worst], cluster, 0
        same = (points == points[worst]).all(1)  # equal points stay together
        labels[same], left[same] = cluster, 0
    kept, labels = np.unique(labels, return_inverse=True)
    return centres[kept], labels
