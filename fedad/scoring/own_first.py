"""The site's own rows before those of others, which count as farther than they are.

    score(x) = min( d(x, own rows), own-first.factor times d(x, rows of others) )

A factor of 1 trusts others as oneself, and is `with_own`; a large one is a site by itself. What
only others know stays normal as far as the factor lets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.scoring._by_site import bank_of_rows, least, others_of
from fedad.scoring.base import PLAIN
from fedad.search.base import Nearest

__all__ = ["own_first"]


@dataclass(frozen=True)
class Knobs:
    """How much farther than they are rows of other sites count."""

    factor: Annotated[float, Field(ge=1)] = 1.1


def own_first(
    bank: Bank,
    patches: np.ndarray,
    *,
    own: Bank | None = None,
    knobs: ScoreKnobs = PLAIN,
    device: str = "cpu",
    settings: Knobs = Knobs(),
) -> Nearest:
    """The nearer of `own` and, times the factor, the others' rows; see `base.Scoring`.

    Args:
        own: the site's own bank, in its name: rows of that name in `bank` are left out. Without
            any row of it nobody comes first.
    """
    from fedad.scoring.nearest import nearest  # torch, which who only reads knobs does without

    if own is None or not len(own):
        return nearest(bank, patches, knobs=knobs, device=device)
    mine = nearest(own, patches, knobs=knobs, device=device)
    found, factors = [Nearest(mine.distance, mine.row + len(bank))], [1.0]
    if others := others_of(bank, own):
        rows = np.concatenate(others)
        one = nearest(bank_of_rows(bank, bank.rows[rows]), patches, knobs=knobs, device=device)
        found.append(Nearest(one.distance, rows[one.row]))
        factors.append(settings.factor)
    return least(found, factors, len(patches))
