"""A floor of rows a site, then greedy: a small site keeps a voice beside the large ones."""

import math
from collections.abc import Sequence

import numpy as np

from fedad.aggregation.base import Choose, prefixes, shares, site_weights, thin
from fedad.banks.bank import Bank, join
from fedad.config import MergeKnobs

__all__ = ["diversity_preserving"]


def diversity_preserving(
    uploads: Sequence[Bank], size: int, *, knobs: MergeKnobs, choose: Choose
) -> Bank:
    """The first `merge.floor` rows of each site, the rest chosen as in a federated coreset.

    Where the floors alone would fill the bank, each site's floor is its equal share. See
    `base.Aggregation`.
    """
    sizes = [len(upload) for upload in uploads]
    floors = [min(knobs.floor, size // len(uploads), most) for most in sizes]
    parts = shares(site_weights(uploads, knobs), size, sizes)
    offered = [
        max(floor, math.ceil(knobs.oversample * part))
        for floor, part in zip(floors, parts, strict=True)
    ]
    offers = prefixes(uploads, offered)
    starts = np.cumsum([0, *map(len, offers)])
    kept = [
        int(at) + row for at, floor in zip(starts, floors, strict=False) for row in range(floor)
    ]
    return thin(join(offers), size, choose, kept=kept or (0,))
