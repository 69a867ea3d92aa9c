"""Patch scores -> the score of an image."""

from __future__ import annotations

import numpy as np

from fedad.search.base import Nearest


def image_scores(
    nearest: Nearest, patches: np.ndarray, rows: np.ndarray, *, per_image: int, neighbours: int
) -> np.ndarray:
    """(B,) float32: the largest patch score of each image.

    With `neighbours` = b above 1 it is weighted as in PatchCore (Roth et al., 2022, equation 7):
    by one minus the softmax of the distances from that patch to the b rows nearest to its nearest
    row, taken at that row. A patch near a lonely row counts more; with one row in all there is
    nothing to weigh by.
    """
    table = nearest.distance.reshape(-1, per_image)
    top = table.argmax(1)
    scores = table[np.arange(len(table)), top]
    if min(neighbours, len(rows)) == 1:
        return scores
    at = top + per_image * np.arange(len(table))
    return np.array(
        [
            score * _weight(patches[i], rows, nearest.row[i], neighbours)
            for score, i in zip(scores, at, strict=True)
        ],
        np.float32,
    )


def _weight(patch: np.ndarray, rows: np.ndarray, row: int, neighbours: int) -> float:
    around = np.linalg.norm(rows - rows[row], axis=1)
    closest = np.argsort(around, kind="stable")[:neighbours]
    gaps = np.linalg.norm(rows[closest] - patch, axis=1).astype(np.float64)
    nearest = np.linalg.norm(rows[row] - patch)
    return float(1 - np.exp(nearest - gaps.max()) / np.exp(gaps - gaps.max()).sum())
