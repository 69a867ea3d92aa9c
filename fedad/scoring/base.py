"""What a scoring is: a function from patches to their distance from what is normal."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.search.base import Nearest

PLAIN = ScoreKnobs()


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
        knobs: ScoreKnobs = PLAIN,
        device: str = "cpu",
    ) -> Nearest: ...
