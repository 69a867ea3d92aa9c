"""The colours of a bank's maps: how far apart its own rows are."""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank

ROWS = 512  # rows that the gap is measured on
BLOCK = 1024  # rows that they are compared with at a time
SLACK = 1e-4  # more than float32 is off in a squared distance of 65,536 features, relative to it
TINY = 1e-30  # and where squares are next to 0


def scale_of(bank: Bank) -> dict[str, tuple[float, float]]:
    """Category -> the scores at the two ends of a map's colours: 0, and twice the usual gap.

    The gap is the median distance of a row to the nearest other row of its category, over at most
    512 rows spread evenly over the order of selection. A category of a mixed bank that has no row
    has the gap of all.
    """
    scales = {}
    for number, category in enumerate(bank.categories):
        rows = bank.rows[bank.category == number]
        scales[category] = (0.0, 2 * gap_of(rows if len(rows) else bank.rows) or 1.0)
    return scales


def gap_of(rows: np.ndarray) -> float:
    """The median distance, of some of the rows (M, D) float32, to the nearest other row.

    Products of float64 say which rows may be the nearest two, of which one is the row itself; their
    distances are then measured by differences.
    """
    some = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))
    squares, off = _squares(rows, some)
    second = np.partition(squares, min(1, len(rows) - 1), axis=1)[:, min(1, len(rows) - 1)]
    reach = (second + off) * (1 + SLACK) + off + TINY
    gaps = []
    for at, near in zip(some, squares <= reach[:, None], strict=True):
        found = np.linalg.norm(rows[near] - rows[at], axis=1)
        gaps.append(np.sort(found)[1:2].sum())
    return float(np.median(gaps))


def _squares(rows: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S, M) float64: squared distances of some rows to all; (S,): how far they may be off."""
    mean = rows.mean(axis=0, dtype=np.float64)
    chosen = rows[some] - mean
    found, length = np.empty((len(some), len(rows))), np.empty(len(rows))
    for at in range(0, len(rows), BLOCK):
        block = rows[at : at + BLOCK] - mean
        length[at : at + BLOCK] = np.einsum("md,md->m", block, block)
        found[:, at : at + BLOCK] = length[at : at + BLOCK] - 2 * chosen @ block.T
    found += length[some, None]
    return found, 1e-11 * (length[some] + length.max())
