"""A share a source, chosen by the server alone: no site can take the place of another's rows.

The joint greedy of a federated coreset runs to whatever is far, and a site that uploads far rows,
or says that it has a thousand million images, fills the bank with its own. Here

- a site's weight (its image count, or what `merge.weighting` makes of it) is at most 1.5 times the
  median of all sites;
- exact repetitions of a row are dropped;
- k-centre chooses among the rows of each site by themselves, whatever order they came in;
- a stranger, whose rows are typically more than twice as far from everybody else's rows as is usual
  among these sites, gets what places the others leave. (`docs/robustness.md`: sites with variants,
  cameras and lights of their own were 0.9 to 1.1 times as far as usual, noise 2.6 to 5 times.)

What two sites have in common is kept twice, which is what `scoring = q_of_n` lives on.
"""

from collections.abc import Sequence
from statistics import median_low

import numpy as np

from fedad.aggregation.base import Choose, believed, shares, site_weights, thin
from fedad.banks.bank import Bank, join
from fedad.config import MergeKnobs

__all__ = ["quota"]

STRANGE = 2.0  # times the usual distance to everybody else's rows
JUDGED = 32  # rows, from which on a site is judged by their distance; fewer take no great place
SAMPLE = 256  # rows of a site that its distance is measured by
BLOCK = 2048  # rows of the others in one block of distances


def quota(uploads: Sequence[Bank], size: int, *, knobs: MergeKnobs, choose: Choose) -> Bank:
    """`size` rows, or all distinct ones where there are fewer; see `base.Aggregation`."""
    distinct = [upload.take(_first_of_each(upload.rows)) for upload in uploads]
    weights = believed(site_weights(uploads, knobs))
    strange = _strangers([upload.rows for upload in distinct])
    parts = np.zeros(len(uploads), np.int64)
    for turn in (~strange, strange):
        available = [len(upload) * int(mine) for upload, mine in zip(distinct, turn, strict=True)]
        parts += shares(weights, min(size - parts.sum(), sum(available)), available)
    kept = zip(distinct, parts.tolist(), strict=True)
    return join([_part(upload, part, choose) for upload, part in kept])


def _part(upload: Bank, size: int, choose: Choose) -> Bank:
    return thin(upload, size, choose) if size else upload.take(np.arange(0))


def _first_of_each(rows: np.ndarray) -> np.ndarray:
    """The row numbers, in order, of the rows (M, D) that no row before them equals."""
    first: dict[bytes, int] = {}
    for number, row in enumerate(rows + 0.0):  # -0.0 is 0.0
        first.setdefault(row.tobytes(), number)
    return np.fromiter(first.values(), np.intp, len(first))


def _strangers(sites: Sequence[np.ndarray]) -> np.ndarray:
    """(S,) bool: whose rows (M_i, D) are far from all others', seen from at least three sites."""
    strange = np.zeros(len(sites), np.bool_)
    able = [number for number, rows in enumerate(sites) if len(rows) >= JUDGED]
    if len(able) >= 3:
        far = [_distance(sites[i], [sites[j] for j in able if j != i]) for i in able]
        strange[able] = np.array(far) > STRANGE * median_low(far)
    return strange


def _distance(rows: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """The median distance of a sample of rows to the nearest row of the others."""
    some = rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE].astype(np.float64)
    least = np.full(len(some), np.inf)
    for other in others:
        for at in range(0, len(other), BLOCK):
            block = other[at : at + BLOCK].astype(np.float64)
            gaps = np.square(block).sum(1) - 2 * some @ block.T
            np.minimum(least, gaps.min(1), out=least)
    return float(np.median(np.sqrt(np.maximum(least + np.square(some).sum(1), 0))))
