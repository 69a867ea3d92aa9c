"""Distances to other sites' rows in the site's own measure: a lamp or lens of theirs is no anomaly.

    score(x) = min over sites s of  d(x, rows of s) * clip(gap / gap of s, 0.8, 1)

Rows that were photographed elsewhere lie farther from all that the site sees, by a margin that the
other lamp, lens and camera make. `gap of s` is how far they are from the site's own rows where both
show the same: of the distances of its own rows to their nearest row of s the one that a tenth are
below. `gap` is the same among the site's own rows, of other images.

Where s is no farther than the site is from itself, its distances stay as they are, and so no score
is above that of `with_own`. Nor is one below 0.8 of it: rows that have nothing to do with the part
are equally far from everything, and would in their own measure explain all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.scoring._by_site import bank_of_rows, least, others_of
from fedad.scoring.base import PLAIN
from fedad.scoring.nearest import nearest
from fedad.search.base import Nearest

__all__ = ["standardised"]

SAMPLE = 256  # own rows that gaps are measured from, evenly over the order of selection
LEAST = 0.8  # that is left of a distance: demo plants need 0.83
SHARE = 0.1  # of them, those in places that both sites have: few enough for another variant


def standardised(
    bank: Bank,
    patches: np.ndarray,
    *,
    own: Bank | None = None,
    knobs: ScoreKnobs = PLAIN,
    device: str = "cpu",
) -> Nearest:
    """The least standardised distance to a row of any site; see `base.Scoring`.

    Args:
        own: the site's own bank, in its name: rows of that name in `bank` are left out. Without
            any row of it there is no measure, and this is `nearest`.
    """
    if own is None or not len(own):
        return nearest(bank, patches, knobs=knobs, device=device)
    mine = nearest(own, patches, knobs=knobs, device=device)
    found, factors = [Nearest(mine.distance, mine.row + len(bank))], [1.0]
    some = _sample(own)
    gap = _own_gap(own, some) if len(own) > 1 else np.inf
    for rows in others_of(bank, own):
        part = bank_of_rows(bank, bank.rows[rows])
        one = nearest(part, patches, knobs=knobs, device=device)
        found.append(Nearest(one.distance, rows[one.row]))
        between = _gap(nearest(part, own.rows[some], knobs=knobs, device=device).distance)
        factors.append(float(np.clip(gap / between, LEAST, 1)) if between else 1.0)
    return least(found, factors, len(patches))


def _sample(own: Bank) -> np.ndarray:
    """(n,) int: some rows of a site's own bank."""
    at = np.unique(np.linspace(0, len(own) - 1, min(SAMPLE, len(own))).astype(int))
    return np.argsort(own.row, kind="stable")[at]


def _gap(distances: Sequence[float] | np.ndarray) -> float:
    return float(np.quantile(distances, SHARE))


def _own_gap(own: Bank, some: np.ndarray) -> float:
    """The gap of a site to itself: between rows of different images, as far as they are known."""
    mean = own.rows.mean(axis=0, dtype=np.float64)
    rows = own.rows - mean
    lengths = np.einsum("md,md->m", rows, rows)
    squares = lengths[some, None] + lengths - 2 * rows[some] @ rows.T
    apart = np.arange(len(own)) != some[:, None]
    if len(own.source) == len(own):
        of_others = own.image[some, None] != own.image
        apart &= of_others | ~of_others.any(axis=1, keepdims=True)
    return _gap(np.sqrt(np.maximum(np.where(apart, squares, np.inf).min(axis=1), 0)))
