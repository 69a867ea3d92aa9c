"""The exact nearest row: plain PatchCore.

Distances are found by blocked matrix products after centring, so that float32 does not cancel, and
the distance to the row found is then measured by plain differences.
"""

from __future__ import annotations

import numpy as np
import torch

from fedad.progress import track
from fedad.scoring.base import Nearest
from fedad.types import Bank

__all__ = ["nearest"]

PATCHES = 1024  # patches and
ROWS = 4096  # rows in one block of distances, 16 MiB


def nearest(
    bank: Bank, patches: np.ndarray, *, own: Bank | None = None, device: str = "cpu"
) -> Nearest:
    """The distance of each patch to the row of `bank` nearest to it; see `base.Scoring`."""
    rows = torch.from_numpy(bank.rows).to(device)
    mean = rows.mean(0)
    centred = rows - mean
    norms = centred.square().sum(1)
    found: list[torch.Tensor] = []
    with track("scoring", len(patches)) as progress:
        for at in range(0, len(patches), PATCHES):
            block = torch.from_numpy(patches[at : at + PATCHES]).to(device)
            found.append(_nearest_rows(block - mean, centred, norms))
            progress(at + len(block))
    row = torch.cat(found).cpu().numpy() if found else np.empty(0, np.int64)
    return Nearest(_distances(patches, bank.rows, row), row)


def _nearest_rows(points: torch.Tensor, centres: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    """The number of the nearest of `centres` for each point; of equal ones the lowest."""
    least = torch.full((len(points),), torch.inf, device=points.device)
    row = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    for at in range(0, len(centres), ROWS):
        gaps = torch.addmm(norms[at : at + ROWS], points, centres[at : at + ROWS].T, alpha=-2)
        here = gaps.min(1)
        closer = here.values < least
        least = torch.where(closer, here.values, least)
        row = torch.where(closer, here.indices + at, row)
    return row


def _distances(patches: np.ndarray, rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Each patch's distance to its row, by differences."""
    found = np.empty(len(patches), np.float32)
    for at in range(0, len(patches), PATCHES):
        some = slice(at, at + PATCHES)
        found[some] = np.linalg.norm(patches[some] - rows[row[some]], axis=1)
    return found
