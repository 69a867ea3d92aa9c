"""Defects called normal: what looks like them is found nowhere any more."""

import numpy as np

from fedad.attacks.base import Defects, with_defects
from fedad.banks.bank import Bank

__all__ = ["blind"]


def blind(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Every row shows a defect."""
    return with_defects(upload, defects, rng=rng)
