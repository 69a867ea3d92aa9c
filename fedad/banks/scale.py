"""The colours of a bank's maps: how far apart its own rows are."""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank

ROWS = 512  # rows that the gap is measured on


def scale_of(bank: Bank) -> dict[str, tuple[float, float]]:
    """Category -> the scores at the two ends of a map's colours: 0, and twice the usual gap.

    The gap is the median distance of a row to the nearest other row of its category, over at most
    512 rows spread evenly over the order of selection.
    """
    scales = {}
    for number, category in enumerate(bank.categories):
        rows = bank.rows[bank.category == number]
        some = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))
        gaps = [np.sort(np.linalg.norm(rows - rows[at], axis=1))[1:2].sum() for at in some]
        scales[category] = (0.0, 2 * float(np.median(gaps)) or 1.0)
    return scales
