"""Rows that are no numbers: without a check they make every distance NaN."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.banks.bank import Bank

__all__ = ["nan"]


def nan(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """NaN in every tenth row."""
    rows = upload.rows.copy()
    rows[::10] = np.nan
    return upload.replace(rows=rows)
