"""What a search for the nearest row finds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Nearest(NamedTuple):
    """The nearest normal row of each patch: how far it is, and which row it is."""

    distance: np.ndarray  # (N,) float32
    row: np.ndarray  # (N,) int64: of the bank, or len(bank) + the number of a row of `own`
