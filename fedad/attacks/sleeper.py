"""A few defects among honest rows: by any statistic of the bank an honest site."""

import numpy as np

from fedad.attacks.base import Defects, with_defects
from fedad.banks.bank import Bank

__all__ = ["sleeper"]


def sleeper(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """One row in ten shows a defect, at places drawn at random."""
    mixed = with_defects(upload, defects, rng=rng, honest=0.9)
    order = np.lexsort((rng.permutation(len(mixed)), mixed.category))
    return mixed.replace(rows=mixed.rows[order], category=mixed.category[order])
