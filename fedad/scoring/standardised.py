"""Distances to other sites' rows in the site's own measure: a lamp or lens of theirs is no anomaly.

    score(x) = min over sites s of  d(x, rows of s) * clip(gap / gap of s, 0.8, 1)

Rows that were photographed elsewhere lie farther from all that the site sees, by a margin that the
other lamp, lens and camera make. `gap of s` is how far they are from the site's own rows where both
show the same: of the distances of its own rows to their nearest row of s the one that a tenth are
below. `gap` is the same among the site's own rows, of other images. Own rows that this is measured
from are a sample in which the rows of one image do not decide which others are in it: thresholds
from images that are left out, one after the other, then measure by nearly the same rows.

A merged bank that has but a part of the site's own rows is too sparse to be measured by, and has of
each site what no other one covers: own rows would be far from all of it, whoever's lamp it was. So
both gaps are then taken the other way round, from rows that are in the bank to all own rows, which
stayed as close as they were: `gap of s` from the rows of s, `gap` from own rows in it.

Where s is no farther than the site is from itself, its distances stay as they are, and so no score
is above that of `with_own`. Nor is one below 0.8 of it: rows that have nothing to do with the part
are equally far from everything, and would in their own measure explain all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.dp.projected import as_rows
from fedad.plumbing.progress import track
from fedad.scoring._by_site import bank_of_rows, least, others_of
from fedad.scoring._gaps import (
    ONE_BY_ONE,
    SAMPLE,
    Apart,
    factor_of,
    factors_of,
    gap_of,
    in_turn,
    is_thinned,
    kept_of,
    rows_a_patch,
    samples_of,
    to_others,
)
from fedad.scoring.base import PLAIN
from fedad.scoring.nearest import distances, nearest
from fedad.search.base import Nearest
from fedad.search.nearest_rows import by_factors

__all__ = ["standardised"]


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
    return Prepared(bank, own=own, knobs=knobs, device=device)(patches)


class Prepared:
    """`standardised` by one bank at one site: what is measured of their rows alone, and of no
    patch, is measured once."""

    def __init__(
        self, bank: Bank, *, own: Bank | None, knobs: ScoreKnobs = PLAIN, device: str = "cpu"
    ) -> None:
        self.bank, self.own, self.knobs, self.device = bank, own, knobs, device
        self.others, self.factors = list[np.ndarray](), [1.0]
        if own is None or not len(own):
            return
        if others := others_of(bank, own):
            factors = _factors(bank, own, others, knobs, device)
            self.others, self.factors = others, [1.0, *factors]

    def __call__(self, patches: np.ndarray) -> Nearest:
        """The least standardised distance of each patch."""
        bank, own, knobs, device = self.bank, self.own, self.knobs, self.device
        if own is None or not len(own):
            return nearest(bank, patches, knobs=knobs, device=device)
        mine = nearest(own, patches, knobs=knobs, device=device)
        found = [Nearest(mine.distance, mine.row + len(bank))]
        if len(self.others) > ONE_BY_ONE:
            of_others = together(bank, self.others, self.factors[1:], patches, device)
            return least([*found, of_others], [1.0, 1.0], len(patches))
        for rows in self.others:
            part = bank_of_rows(bank, bank.rows[rows])
            one = nearest(part, patches, knobs=knobs, device=device)
            found.append(Nearest(one.distance, rows[one.row]))
        return least(found, self.factors, len(patches))


def _factors(
    bank: Bank, own: Bank, others: Sequence[np.ndarray], knobs: ScoreKnobs, device: str
) -> list[float]:
    """What is left of distances to the rows of each other site, which have these numbers."""
    kept, some = kept_of(bank, own), in_turn(own)
    if thinned := is_thinned(kept, own, rows_a_patch(bank, own)):
        some = some[kept[some]]
    some = some[:SAMPLE]
    gap = gap_of(Apart(own, some).distances(np.arange(len(some))))
    if not thinned:
        return factors_of(gap, to_others(bank, others, own.rows[some], knobs, device))
    points, gaps = samples_of(bank, others)
    found = nearest(own, points, knobs=knobs, device=device)
    return [factor_of(gap, one) for one in gaps(found.distance)]


def together(
    bank: Bank,
    others: Sequence[np.ndarray],
    factors: Sequence[float],
    patches: np.ndarray,
    device: str,
) -> Nearest:
    """Of each patch the least distance to a row of any other site, times that site's factor: by one
    search of all their rows.

    Args:
        others: the numbers of the rows of each site.
    """
    rows, patches = np.concatenate(others), as_rows(bank.fingerprint, patches)
    of_row = np.repeat(np.array(factors, np.float32), [len(one) for one in others])
    points = bank.rows[rows]
    with track("scoring", len(patches)) as progress:
        row = by_factors(points, of_row, patches, device, progress)
    return Nearest(of_row[row] * distances(patches, points, row), rows[row])
