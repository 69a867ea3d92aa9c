"""The rows of each product under the name of the next: a lie, or two cables changed over."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.banks.bank import Bank

__all__ = ["swapped"]


def swapped(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Categories moved on by one, with their counts; of one product there is nothing to change."""
    moved = (upload.category + 1) % len(upload.categories)
    return upload.replace(
        category=moved.astype(np.int32),
        **{name: np.roll(getattr(upload, name), 1, axis=1) for name in upload.tables},
    )
