"""Weighted, oversampled greedy coreset: each site offers more than its share, the server chooses.

A site's share of the bank is its share of the images. `merge.oversample` times as many of its rows
enter the pool, and k-centre over the pool keeps those that cover it best, so that rows which two
sites have in common are kept once.
"""

import math
from collections.abc import Sequence

from fedad.aggregation.base import Choose, prefixes, shares, site_weights, thin
from fedad.banks.bank import Bank, join
from fedad.config import MergeKnobs

__all__ = ["federated_coreset"]


def federated_coreset(
    uploads: Sequence[Bank], size: int, *, knobs: MergeKnobs, choose: Choose
) -> Bank:
    """Greedy over the pool, from the first row of the first site; see `base.Aggregation`.

    With one site the rows are the first `size` of its upload: the centralised coreset.
    """
    parts = shares(site_weights(uploads, knobs), size, [len(upload) for upload in uploads])
    pool = join(prefixes(uploads, [math.ceil(knobs.oversample * part) for part in parts]))
    return thin(pool, size, choose)
