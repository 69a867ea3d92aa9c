"""How far apart rows of a bank lie around one of them: distances there count in that measure.

    score(x) = d(x, r) / g(r) ** power,    r the row nearest to x

g(r) is the mean distance of r to the three rows of the bank that are nearest to it. Where normal
patches vary much, rows lie far apart and a distance says less. What g is comes from the model
alone, so it is the same at every site; of a row that a site has for itself it is that to the
model's rows.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 3
BLOCK_BYTES = 2**26  # of a table of distances
SAME = 1e-6  # a row this near, relative to its length, is the row itself


def gaps(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) float64: mean distance of points (n, D), rows or not, to the nearest rows (M, D) other
    than themselves; 0 where there is no other."""
    mean = rows.mean(axis=0, dtype=np.float64)
    table = rows - mean
    length = np.einsum("md,md->m", table, table)
    found, step = np.zeros(len(points)), max(1, BLOCK_BYTES // (8 * max(1, len(rows))))
    for at in range(0, len(points), step):
        some = points[at : at + step] - mean
        squares = length - 2 * some @ table.T
        near = np.argpartition(squares, min(NEIGHBOURS + 1, len(rows) - 1), axis=1)
        near = near[:, : NEIGHBOURS + 2]
        off = np.linalg.norm(some[:, None] - table[near], axis=2)
        sizes = np.linalg.norm(some, axis=1)
        for k, (point, one, size) in enumerate(zip(some, off, sizes, strict=True)):
            others = _others(one, size)
            if len(others) < NEIGHBOURS and len(rows) > near.shape[1]:  # rows that stand twice
                others = _others(np.linalg.norm(point - table, axis=1), size)
            found[at + k] = others.mean() if len(others) else 0.0
    return found


def divided(distances: np.ndarray, gap: np.ndarray, power: float) -> np.ndarray:
    """(n,) float32: distances (n,) by the gaps (n,) of their rows; as they are where there is no
    gap."""
    measure = np.where(gap > 0, gap, 1.0) ** power
    found: np.ndarray = (distances / measure).astype(np.float32)
    return found


def _others(distances: np.ndarray, size: float) -> np.ndarray:
    """The least distances that are not to the point itself."""
    return np.sort(distances[distances > SAME * (size + 1e-30)])[:NEIGHBOURS]
