"""Say that the bank stands for a thousand million images, and take the bank by weight."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.banks.bank import Bank

__all__ = ["count_lie"]

IMAGES = 10**9


def count_lie(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """The honest rows, with a lie about how many images they stand for."""
    lie = np.full_like(upload.images, IMAGES)
    return upload.replace(images=lie, patches=lie)
