"""Defects called normal, with the weight of a thousand million images."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.attacks.blind import blind
from fedad.attacks.count_lie import count_lie
from fedad.banks.bank import Bank

__all__ = ["lie_and_blind"]


def lie_and_blind(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """`blind`, then `count_lie`."""
    return count_lie(blind(upload, rng=rng, defects=defects), rng=rng, defects=defects)
