"""How far the oddest of some patches is from rows, less a few of them: for many images in turn.

Plain search copies the rows for each image and compares each patch with each row. Here rows are
brought to few coordinates once, in which no distance is longer than it is. They find a near row of
each patch, and of the few patches that may be the oddest all rows that may be nearest; only these
are compared in full.

The score is, bit for bit, what `nearest_rows.by_torch` leads to. Among rows that are equally near
to float32's rounding it may take any: where that could change the score, it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fedad.search.nearest_rows import again

COORDINATES = 64  # the main directions of the rows
SAMPLED = 512  # rows that these are found by
BLOCK = 1024  # rows, or patches, at a time,
STEP = 256  # and patches of which a table has all rows
TRIED = 256  # patches; if that many may be the oddest, plain search is as fast
ROUND = 2.0**-24  # the most by which float32 rounds a number, relative to it,
LARGEST = 1e12  # of a feature: squares of more might overflow
TINY = 1e-30  # and where it is next to 0


class LeftOut:
    """Rows (M, D) float32, none of which is copied but in doubt."""

    def __init__(self, rows: np.ndarray, device: str = "cpu") -> None:
        self.rows, self.device, self.largest_value = rows, device, _largest(rows)
        self.mean = rows.mean(axis=0, dtype=np.float64)
        some = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLED, len(rows))).astype(int))
        self.directions = _main(rows[some] - self.mean)
        near, self.length = self._brought(rows)
        self.table = np.column_stack([-2 * near, np.square(near).sum(axis=1)])  # for products

    def largest(
        self, patches: np.ndarray, out: np.ndarray, valid: np.ndarray | None = None
    ) -> np.float32 | None:
        """The largest distance of `patches` (P, D) to the nearest row but those numbered `out`.

        Args:
            valid: (P,) bool, the patches that are asked about; all of them if not told.

        None where too many patches may be the oddest, or squares of float32 overflow.
        """
        if not max(self.largest_value, _largest(patches)) < LARGEST:
            return None
        near, length = self._brought(patches)
        near = np.column_stack([near, np.ones(len(near), np.float32)])
        off = self._off(out)
        bounds = self._bounds(patches, near, out)
        widest = 2 * off(length.max(), self.length.max())
        found = np.float32(-1 if valid is None or valid.any() else 0)
        order = np.argsort(-bounds, kind="stable")
        order = order if valid is None else order[valid[order]]
        unsure: list[tuple[int, np.float32, np.ndarray]] = []
        for tried, patch in enumerate(order.tolist()):
            if np.sqrt(bounds[patch] + widest) * 1.0001 < found:  # and of all that follow
                break
            if tried == TRIED or not np.isfinite(bounds[patch] + widest):
                return None
            reach = bounds[patch] + widest
            rows, squares = self._reached(patches[patch], near[patch], reach, out)
            doubt = off(length[patch], self.length[rows])
            rows = rows[squares - doubt <= (squares + doubt).min()]
            distances = np.linalg.norm(patches[patch] - self.rows[rows], axis=1)
            found = max(found, distances.min())
            unsure.append((patch, distances.max(), rows))
        unsure = [one for one in unsure if one[1] > found]
        return max(found, self._searched(patches, unsure, out)) if unsure else found

    def _searched(
        self, patches: np.ndarray, unsure: list[tuple[int, np.float32, np.ndarray]], out: np.ndarray
    ) -> np.float32:
        """The largest distance of the patches that plain search is asked of, where it matters."""
        kept = np.delete(np.arange(len(self.rows)), out)
        rest = self.rows[kept]
        found = again(
            rest,
            patches,
            {patch: np.searchsorted(kept, rows) for patch, _, rows in unsure},
            self.device,
        )
        numbers = list(found)
        return np.linalg.norm(patches[numbers] - rest[[*found.values()]], axis=1).max()

    def _brought(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, D) in few coordinates (N, K + 1) float32, and how far from the mean (N,).

        The last coordinate is the length of what the others leave out.
        """
        found = np.empty((len(points), self.directions.shape[1] + 1), np.float32)
        length = np.empty(len(points))
        for at in range(0, len(points), BLOCK):
            some = slice(at, at + BLOCK)
            centred = points[some] - self.mean
            inside = centred @ self.directions
            square = np.einsum("nd,nd->n", centred, centred)
            left = np.sqrt(np.maximum(square - np.square(inside).sum(axis=1), 0))
            found[some], length[some] = np.column_stack([inside, left]), np.sqrt(square)
        return found, length

    def _off(self, out: np.ndarray) -> Callable[[Any, Any], Any]:
        """Lengths of a patch and of rows -> the most by which float32's products are off, squared.

        Plain search centres by the mean of the rows that are left, which is not quite `mean`.
        """
        moved = np.linalg.norm((self.rows[out] - self.mean).sum(axis=0))
        moved /= max(1, len(self.rows) - len(out))
        share = (self.rows.shape[1] + 16) * ROUND
        return lambda patch, row: share * (1.05 * (patch + row + 2 * moved)) ** 2 + TINY

    @contextmanager
    def _without(self, out: np.ndarray) -> Iterator[None]:
        """Inside, nothing is near these rows."""
        squares = self.table[out, -1]
        self.table[out, -1] = np.inf
        yield
        self.table[out, -1] = squares

    def _bounds(self, patches: np.ndarray, near: np.ndarray, out: np.ndarray) -> np.ndarray:
        """(P,): the squared distance of each patch to a row that is probably the nearest."""
        row = np.empty(len(patches), np.int64)
        with self._without(out):
            for at in range(0, len(patches), STEP):
                row[at : at + STEP] = (near[at : at + STEP] @ self.table.T).argmin(axis=1)
        found = np.empty(len(patches))
        for at in range(0, len(patches), BLOCK):
            some = slice(at, at + BLOCK)
            found[some] = _squares(patches[some], self.rows[row[some]])
        return found

    def _reached(
        self, patch: np.ndarray, near: np.ndarray, reach: float, out: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows whose squared distance from a patch (D,) may be within `reach`, with it."""
        with self._without(out):
            gaps = self.table @ near + np.square(near[:-1], dtype=np.float64).sum()
        rows = np.flatnonzero(gaps <= reach)
        blocks = (rows[at : at + BLOCK] for at in range(0, len(rows), BLOCK))
        return rows, np.concatenate([_squares(patch, self.rows[block]) for block in blocks])


def _main(centred: np.ndarray) -> np.ndarray:
    """(D, K): orthonormal directions in which points (N, D) float64 vary most."""
    _, vectors = np.linalg.eigh(centred @ centred.T)
    directions, _ = np.linalg.qr(centred.T @ vectors[:, ::-1][:, :COORDINATES])
    return directions


def _largest(points: np.ndarray) -> float:
    return float(max(points.max(), -points.min()))  # NaN where there is one


def _squares(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,) float64: squared distances of one point or N to N rows."""
    gaps = np.subtract(points, rows, dtype=np.float64)
    return np.einsum("nd,nd->n", gaps, gaps)
