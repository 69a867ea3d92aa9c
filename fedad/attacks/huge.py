"""Finite, and too large to square: distances overflow at the server and at every site."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.banks.bank import Bank

__all__ = ["huge"]


def huge(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Half the largest number that the wire holds, in the signs of the honest rows."""
    largest = np.float32(np.finfo(upload.dtype).max) / 2
    return upload.replace(rows=np.copysign(largest, upload.rows))
