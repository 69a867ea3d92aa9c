"""Finite, and too large to square: distances overflow at the server and at every site."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.banks.bank import Bank
from fedad.messages.coded import largest

__all__ = ["huge"]


def huge(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Half the largest number that the wire holds, in the signs of the honest rows."""
    half = np.float32(largest(upload.dtype)) / 2
    return upload.replace(rows=np.copysign(half, upload.rows))
