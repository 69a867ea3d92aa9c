"""Public patches -> the public numbers of their embedding."""

from __future__ import annotations

import math

import numpy as np

from fedad.dp.public import AXIS_STEPS, STEPS, Public, meaning
from fedad.types import Fingerprint

DIMENSIONS = 64
CENTRES = 128
TRIES = 12  # of k-means
WITHIN = 0.75  # share of public patches that are no farther than the radius from their centre
LONGER = 2.0  # times the longest public patch: as long as a released centre may be
FARTHER = 4.0  # times the farthest public feature: as far from its mean as one is taken to be


def make_public(
    patches: np.ndarray, fingerprint: Fingerprint, *, source: str, seed: int = 0
) -> Public:
    """What `fedad/dp/public.py` says, of patches (N, D) float32 that anybody may have.

    The same patches and seed give the same numbers on one machine; the last bits of an
    eigenvector may differ on another, so the file is made once and shipped.

    Raises:
        ValueError: fewer patches than cells.
    """
    size = patches.shape[1]
    if len(patches) < CENTRES:
        raise ValueError(f"{len(patches)} public patches, expected at least {CENTRES}")
    mean = patches.mean(0, dtype=np.float64).astype(np.float32)
    centred = patches.astype(np.float64) - mean
    power = np.abs(centred).max()
    step = 2.0 ** (math.ceil(math.log2(FARTHER * power)) - round(math.log2(STEPS)))
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, : min(DIMENSIONS, size)]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    axes = (np.rint(axes * AXIS_STEPS) / AXIS_STEPS).astype(np.float32)
    points = (centred @ axes).astype(np.float32)
    centres = _kmeans(points, np.random.default_rng(seed))
    return Public(
        mean,
        axes,
        centres,
        radius=float(np.quantile(_nearest(points, centres)[1], WITHIN)),
        longest=LONGER * float(np.linalg.norm(points, axis=1).max()),
        step=step,
        embedding=meaning(fingerprint),
        source=source,
    )


def _kmeans(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(CENTRES, d): a centre that lost all its points is drawn anew among them."""
    centres = points[rng.choice(len(points), CENTRES, replace=False)]
    for _ in range(TRIES):
        whose, _ = _nearest(points, centres)
        count = np.bincount(whose, minlength=CENTRES)
        sums = np.zeros(centres.shape)
        np.add.at(sums, whose, points)
        again = points[rng.integers(len(points), size=CENTRES)]
        means = sums / np.maximum(count, 1)[:, None]
        centres = np.where(count[:, None] > 0, means, again).astype(np.float32)
    return centres


def _nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each point and how far it is, (N,) each."""
    lengths = (centres * centres).sum(1)
    whose, far = np.empty(len(points), np.intp), np.empty(len(points))
    for at in range(0, len(points), 4096):
        some = points[at : at + 4096]
        whose[at : at + 4096] = (lengths - 2 * some @ centres.T).argmin(1)
        far[at : at + 4096] = np.linalg.norm(some - centres[whose[at : at + 4096]], axis=1)
    return whose, far
