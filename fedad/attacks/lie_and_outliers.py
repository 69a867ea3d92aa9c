"""Far rows, with the weight of a thousand million images."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.attacks.count_lie import count_lie
from fedad.attacks.outliers import outliers
from fedad.banks.bank import Bank

__all__ = ["lie_and_outliers"]


def lie_and_outliers(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """`outliers`, then `count_lie`."""
    return count_lie(outliers(upload, rng=rng, defects=defects), rng=rng, defects=defects)
