"""The nearest row of the bank, or of all that the site kept of its own images.

The bank may have room for a part of what a site uploaded. The site still has the rest, and a patch
that its own rows explain is normal there, whatever was merged. With `bank.size = 0` every uploaded
row is in the bank, and this is `nearest`.
"""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.scoring._by_site import least
from fedad.scoring.base import PLAIN
from fedad.scoring.nearest import nearest
from fedad.search.base import Nearest

__all__ = ["with_own"]


def with_own(
    bank: Bank,
    patches: np.ndarray,
    *,
    own: Bank | None = None,
    knobs: ScoreKnobs = PLAIN,
    device: str = "cpu",
) -> Nearest:
    """The nearer of a row of `bank` and a row of `own`; see `base.Scoring`."""
    found = nearest(bank, patches, knobs=knobs, device=device)
    if own is None or not len(own):
        return found
    mine = nearest(own, patches, knobs=knobs, device=device)
    of_own = Nearest(mine.distance, mine.row + len(bank))
    return least([found, of_own], [1.0, 1.0], len(patches))
