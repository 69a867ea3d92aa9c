"""Image scores of four shapes with a known image AUROC."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri


def normals(auroc: float, good: int, bad: int, rng: np.random.Generator):
    return rng.normal(size=good), rng.normal(size=bad) + math.sqrt(2) * ndtri(auroc)


def exponential(auroc: float, good: int, bad: int, rng: np.random.Generator):
    return rng.exponential(size=good), auroc / (1 - auroc) * rng.exponential(size=bad)


def spread_3(auroc: float, good: int, bad: int, rng: np.random.Generator):
    return rng.normal(size=good), 3 * rng.normal(size=bad) + math.sqrt(10) * ndtri(auroc)


def like_good(auroc: float, good: int, bad: int, rng: np.random.Generator):
    """A share of defects like good parts, the others far above."""
    like = rng.random(bad) < 2 * (1 - auroc)
    return rng.normal(size=good), rng.normal(size=bad) + np.where(like, 0, 8)


SHAPES = {one.__name__: one for one in (normals, exponential, spread_3, like_good)}
