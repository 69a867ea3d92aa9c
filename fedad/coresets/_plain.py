"""Distances as the plain k-centre loop computes them, of the points that products leave tied.

A point's plain distance to its nearest kept one is remembered, and brought up to date by what was
kept since: however many points tie for however long, each pair of them is compared about once.
"""

from __future__ import annotations

import numpy as np

ARRAYS = 4  # float64 arrays of a point's width that comparing a pair takes


class PlainGaps:
    """The least plain squared distance of each of `points` (N, D) to those that are kept.

    Args:
        mean: (D,) float64; products are of points less this.
        slack: what |x|^2 + |c|^2 - 2xc is off at most, once computed in float64.
        workspace: bytes that a comparison may take.
    """

    def __init__(
        self, points: np.ndarray, mean: np.ndarray, *, slack: float, workspace: int
    ) -> None:
        self.points, self.mean, self.slack = points, mean, slack
        self.gap = np.full(len(points), np.inf)
        self.seen = np.zeros(len(points), np.int64)  # kept points in the gap
        self.pairs = max(1, workspace // (8 * ARRAYS * points.shape[1]))
        self.products = max(1, workspace // (8 * ARRAYS))

    def of(self, rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """(n,): the gaps of `rows` (n,) to all of `kept` (m,), which only ever grows at its end."""
        age = len(kept) - self.seen[rows]
        ages = np.where(age > 0, np.frexp(age)[1], 0)  # of about one age: compared together
        for one in np.unique(ages[ages > 0]):
            self._lower(rows[ages == one], kept)
        return self.gap[rows]

    def lower(self, rows: np.ndarray, pick: int, kept: int) -> None:
        """Compare `rows` (n,) with one more, `pick`, and say that it is the last of `kept`."""
        for at in range(0, len(rows), self.pairs):
            some = rows[at : at + self.pairs]
            far = self._compared(some, np.array([pick]))
            self.gap[some] = np.minimum(self.gap[some], far)
        self.seen[rows] = kept

    def farthest(self, rows: np.ndarray, kept: np.ndarray, most: int, rival: float) -> np.ndarray:
        """(up to `most`,): the next picks of the plain loop among `rows` (n,) ascending.

        It ends where a pick would be no farther than `rival`, what others may be at most; the first
        counts whatever it is. None if all lie on kept ones.
        """
        left, picks = rows[self.of(rows, kept) > 0], list[int]()
        fits = len(left) <= self.pairs  # else all are compared with each pick
        points = self._centred(left if fits else left[:0])
        norms = np.square(points).sum(1)
        while len(left) and len(picks) < most:
            at = int(self.gap[left].argmax())  # of equally far ones the lowest
            pick = int(left[at])
            if self.gap[pick] == 0 or (picks and self.gap[pick] <= rival):
                break
            picks.append(pick)
            near = left
            if fits:
                products = norms - 2 * (points @ points[at]) + norms[at]
                near = left[products <= self.gap[left] + 2 * self.slack]
            self.lower(near, pick, len(kept) + len(picks))
        self.seen[left] = len(kept) + len(picks)
        return np.array(picks, np.int64)

    def _lower(self, rows: np.ndarray, kept: np.ndarray) -> None:
        """Compare `rows` with what was kept since the first of them was asked for.

        Compared plainly are the kept ones that products say may be nearest.
        """
        new = kept[self.seen[rows].min() :]
        centres = self._centred(new)
        norms = np.square(centres).sum(1)
        step = max(1, self.products // len(new))
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            points = self._centred(some)
            products = norms - 2 * (points @ centres.T) + np.square(points).sum(1)[:, None]
            least = np.minimum(products.min(1), self.gap[some])
            at, to = np.nonzero(products <= least[:, None] + 2 * self.slack)
            for pair in range(0, len(at), self.pairs):
                one, other = some[at[pair : pair + self.pairs]], new[to[pair : pair + self.pairs]]
                np.minimum.at(self.gap, one, self._compared(one, other))
        self.seen[rows] = len(kept)

    def _centred(self, rows: np.ndarray) -> np.ndarray:
        return np.subtract(self.points[rows], self.mean, dtype=np.float64)

    def _compared(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Squared distances of pairs of points as the plain loop computes them."""
        off = np.subtract(self.points[rows], self.points[others], dtype=np.float64)
        return np.square(off, out=off).sum(axis=1)
