"""What a scoring is: a function from patches to their distance from what is normal."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from fedad.config import Score
from fedad.types import Bank

PLAIN = Score()


class Nearest(NamedTuple):
    """Of each patch: how far the nearest normal row is, and which one that is."""

    distance: np.ndarray  # (N,) float32
    row: np.ndarray  # (N,) int64: of the bank, or len(bank) + the number of a row of `own`


class Scoring(Protocol):
    """Scores `patches` (N, D) float32 by the rows of `bank`, and of the site's `own` if given.

    The bank holds at least one row. Distances are Euclidean, in feature units; memory beside the
    arguments and the result is bounded. `knobs` are `score.*`.
    """

    def __call__(
        self,
        bank: Bank,
        patches: np.ndarray,
        *,
        own: Bank | None = None,
        knobs: Score = PLAIN,
        device: str = "cpu",
    ) -> Nearest: ...
