"""Rows ten times as long as any: a joint greedy coreset takes what is far first."""

import numpy as np

from fedad.attacks.base import Defects, in_image
from fedad.banks.bank import Bank

__all__ = ["outliers"]

FACTOR = np.float32(10)


def outliers(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Every row ten times as far from zero."""
    return upload.replace(rows=in_image(upload, FACTOR * upload.rows))
