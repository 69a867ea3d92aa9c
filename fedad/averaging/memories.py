"""Memories of points on the unit sphere: rows that each stand for a number of points."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fedad.averaging.kmeans import assigned, kmeans, lloyd, means

FARTHEST = 2.0  # between two points of the sphere
Join = Literal["kmeans", "kcenter", "uniform"]

RowsAndCounts = tuple[np.ndarray, np.ndarray]
"""Rows (M, P) float32 of length 1, and how many points each stands for (M,) int64, 1 or more."""


def unit(rows: np.ndarray) -> np.ndarray:
    """(n, P) float32: rows of length 1; one of length 0 stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return found


def reduced(points: np.ndarray, start: np.ndarray, *, passes: int, tau: float) -> RowsAndCounts:
    """Weighted averages of groups of points (n, P), by k-means from the memory `start` (M, P).

    A point of a group counts exp(-d^2 / (tau s^2)), d from the group's centre and s^2 the mean of
    all squares. A row of the memory that no point is nearest to is left out, or moves.
    """
    found = lloyd(points, np.ones(len(points)), start, iterations=passes)
    off = points - found.centres[found.labels]
    squares = np.einsum("nd,nd->n", off, off)
    weights = np.exp(-squares / (tau * squares.mean())) if squares.any() else np.ones(len(points))
    rows = means(points, weights, found.labels, len(found.centres))
    return unit(rows), np.bincount(found.labels)


def standing_for(points: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> RowsAndCounts:
    """Those of `rows` (M, P) that are the nearest of some points (n, P), and the sums of these
    points' counts (n,)."""
    labels, _ = assigned(points, rows.astype(np.float64))
    kept, labels = np.unique(labels, return_inverse=True)
    found = np.zeros(len(kept), np.int64)
    np.add.at(found, labels, counts)
    return rows[kept], found


def joined(
    rows: np.ndarray,
    counts: np.ndarray,
    weights: np.ndarray,
    size: int,
    how: Join,
    *,
    rng: np.random.Generator,
    device: str = "cpu",
) -> RowsAndCounts:
    """At most `size` rows for those of all sites (N, P), which stand for `counts` (N,) points.

    Args:
        weights: (N,), above 0: how much each counts. Where all have room, all stay.
        how: weighted k-means, rows that cover all the others, or rows drawn alike.
    """
    if len(rows) <= size:
        return unit(rows), counts
    if how == "kmeans":
        found = kmeans(rows, weights, size, rng=rng)
        sums = np.zeros(len(found.centres), np.int64)
        np.add.at(sums, found.labels, counts)
        return unit(found.centres), sums
    if how == "kcenter":
        from fedad.coresets.kcenter import kcenter

        chosen = kcenter(rows, size, rng=rng, device=device)
    else:
        chosen = np.sort(rng.permutation(len(rows))[:size])
    return standing_for(rows, unit(rows[chosen]), counts)


def moved(before: np.ndarray, after: np.ndarray) -> float:
    """How far the row that moved farthest did: the Hausdorff distance of two memories; `FARTHEST`
    from or to one without a row."""
    if not len(before) or not len(after):
        return FARTHEST
    squares = [
        assigned(one, other.astype(float))[1].max()
        for one, other in ((before, after), (after, before))
    ]
    return min(FARTHEST, float(np.sqrt(max(squares))))
