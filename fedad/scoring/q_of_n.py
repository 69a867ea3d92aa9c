"""What q other sites know is normal, and what the site itself knows: nobody else's word counts.

    score(x) = min( d(x, own bank), q-th smallest over the other sites of d(x, their rows) )

With at most q - 1 malicious sites among the others, the score never falls below the distance to the
nearest row of an honest site, whatever they upload: of the q smallest distances one is an honest
site's. The price: a variant that fewer than q other sites know stays an anomaly to a site that does
not know it, since an honest site that is alone with something looks like an attacker. q = 1 trusts
everybody, and is `nearest` over all rows.

Where fewer than q other sites have rows, all of them may be malicious: a site with rows of its own
judges by those alone. A site without any has nothing else to judge by, and takes the largest of the
distances there are; it is safe from one site less than there are.
"""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.scoring._by_site import bank_of_rows, others_of, qth
from fedad.scoring.base import PLAIN
from fedad.scoring.nearest import nearest
from fedad.search.base import Nearest

__all__ = ["q_of_n"]


def q_of_n(
    bank: Bank,
    patches: np.ndarray,
    *,
    own: Bank | None = None,
    knobs: ScoreKnobs = PLAIN,
    device: str = "cpu",
) -> Nearest:
    """The nearer of `own` and the `score.q`-th nearest other site; see `base.Scoring`.

    Args:
        own: the site's own bank, in its name: rows of that name in `bank` are left out.
    """
    every = bank.rows if own is None else np.concatenate([bank.rows, own.rows])
    mine = np.arange(len(bank), len(every))
    others = others_of(bank, own)

    def by(numbers: np.ndarray) -> Nearest:
        found = nearest(bank_of_rows(bank, every[numbers]), patches, knobs=knobs, device=device)
        return Nearest(found.distance, numbers[found.row])

    if knobs.q == 1:
        return by(np.concatenate([*others, mine]))
    if not len(mine):
        return qth(map(by, others), min(knobs.q, len(others)), len(patches))
    if len(others) < knobs.q:
        return by(mine)
    return qth([by(mine), qth(map(by, others), knobs.q, len(patches))], 1, len(patches))
