"""The rows of each product under the name of the next: a lie, or two cables changed over."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.types import Bank

__all__ = ["swapped"]


def swapped(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """Categories moved on by one; a site with one product has nothing to change over."""
    moved = (upload.category + 1) % len(upload.categories)
    return upload.replace(category=moved.astype(np.int32))
