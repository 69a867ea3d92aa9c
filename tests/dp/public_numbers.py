"""Public numbers of few features, made of drawn patches."""

import numpy as np

from fedad.dp.make_public import make_public
from tests.conftest import MARK


def patches(count, size=12, seed=0):
    """(count, size) float32 about a few centres."""
    rng = np.random.default_rng(seed)
    centres = 4 * np.random.default_rng(1).normal(size=(30, size))
    points = centres[rng.integers(30, size=count)] + rng.normal(size=(count, size))
    return points.astype(np.float32)


def public_numbers(size=12, mark=MARK):
    return make_public(patches(2000, size), mark, source="drawn for tests")
