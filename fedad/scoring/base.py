"""What a scoring is: a function from patches to their distance from what is normal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.plugins import declared
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


Ready = Callable[[np.ndarray], Nearest]
"""A scoring of patches (N, D) by one bank at one site."""


def prepared(
    scoring: Scoring, bank: Bank, own: Bank | None, knobs: ScoreKnobs, device: str
) -> Ready:
    """`scoring`, which `score.scoring` names, by one bank at one site: the same bits.

    A file that measures something of rows alone declares a class `Prepared` that keeps it for many
    calls.
    """
    made = declared("scoring", knobs.scoring, "Prepared")
    if made is not None:
        ready: Ready = made(bank, own=own, knobs=knobs, device=device)
        return ready
    return partial(scoring, bank, own=own, knobs=knobs, device=device)
