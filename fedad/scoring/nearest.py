"""The exact nearest row: plain PatchCore. See `_search.py` for the ways of finding it."""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.dp.projected import as_rows
from fedad.plumbing.progress import track
from fedad.scoring.base import PLAIN
from fedad.search.base import Nearest
from fedad.search.nearest_rows import PATCHES, SEARCHES

__all__ = ["nearest"]


def nearest(
    bank: Bank,
    patches: np.ndarray,
    *,
    own: Bank | None = None,
    knobs: ScoreKnobs = PLAIN,
    device: str = "cpu",
) -> Nearest:
    """The distance of each patch to the row of `bank` nearest to it; see `base.Scoring`.

    The row is found by products, its distance measured by plain differences.
    """
    patches = as_rows(bank.fingerprint, patches)
    with track("scoring", len(patches)) as progress:
        row = SEARCHES[knobs.search](bank.rows, patches, device, progress)
    return Nearest(distances(patches, bank.rows, row), row)


def distances(patches: np.ndarray, rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(N,) float32: how far each patch is from the row with its number."""
    found = np.empty(len(patches), np.float32)
    for at in range(0, len(patches), PATCHES):
        some = slice(at, at + PATCHES)
        found[some] = np.linalg.norm(patches[some] - rows[row[some]], axis=1)
    return found
