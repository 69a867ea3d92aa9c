"""Honest rows first, then defects called normal: a look at the first rows finds nothing."""

import numpy as np

from fedad.attacks.base import Defects, with_defects
from fedad.banks.bank import Bank

__all__ = ["half_blind"]


def half_blind(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """The last half of the rows shows defects."""
    return with_defects(upload, defects, rng=rng, honest=0.5)
