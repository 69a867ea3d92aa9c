"""How far apart normal rows lie: those of a site's own images, and its own from another site's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import ScoreKnobs
from fedad.dp.projected import as_rows
from fedad.scoring._by_site import bank_of_rows
from fedad.scoring.nearest import nearest

SAMPLE = 2048  # own rows that gaps are measured from: with 256 of 1,228 a factor is off by .03
LEAST = 0.8  # that is left of a distance: demo plants need 0.83
SHARE = 0.1  # of them, those in places that both sites have: few enough for another variant
STRIDE = np.uint64(0x9E3779B97F4A7C15)  # the golden section of 2**64: its multiples lie evenly
BLOCK = 1024  # rows that are multiplied at a time
ONE_BY_ONE = 32  # other sites that are searched each by itself; of more, all rows at once
FEW = 0.75  # of a site's own rows: of a bank that has fewer, gaps are measured the other way round


def in_turn(own: Bank) -> np.ndarray:
    """(M,) int: the rows of a site's own bank, so that the first n are a sample for any n.

    Which come first hangs on the rank of each row alone: where rows are left out the others stay
    as they are, and samples with and without an image differ in its rows only.
    """
    return _turns(own.row)


def _turns(ranks: np.ndarray) -> np.ndarray:
    return np.argsort(ranks.astype(np.uint64) * STRIDE, kind="stable")


def kept_of(bank: Bank, own: Bank) -> np.ndarray:
    """(M,) bool: which rows of a site's own bank the merged bank has too, by their ranks.

    A private release has other rows than those it was made of, whatever their ranks.
    """
    if bank.fingerprint.projection:
        return np.zeros(len(own), np.bool_)
    mine = np.isin(bank.site, [k for k, name in enumerate(bank.sites) if name in own.sites])
    return np.isin(own.row, bank.row[mine])


def rows_a_patch(bank: Bank, own: Bank) -> float:
    """How many rows a bank has for each patch that another site looked at, of most sites."""
    rows = np.bincount(bank.site, minlength=len(bank.sites))
    patches = bank.patches.sum(axis=1)
    others = [name not in own.sites for name in bank.sites] & (rows > 0) & (patches > 0)
    return float(np.median(rows[others] / patches[others])) if others.any() else np.inf


def is_thinned(kept: np.ndarray, own: Bank, others: float) -> bool:
    """Whether a bank has a part alone of a site's own rows (M,), and so of what others sent.

    It says nothing of a site of which it has no row, which was not there when it was merged.

    Args:
        kept: (M,) bool, which of these rows it has.
        others: the rows that it has for each patch of other sites.
    """
    some = 0 < int(kept.sum()) < FEW * len(kept)
    return some and others < FEW * len(kept) / max(1, int(own.patches.sum()))


def gap_of(distances: np.ndarray) -> float:
    """The gap of distances (n,): the one that `SHARE` of them are below; of none it is infinite."""
    known = distances[np.isfinite(distances)]
    return float(np.quantile(known, SHARE)) if len(known) else np.inf


def factor_of(gap: float, between: float) -> float:
    """What is left of distances to a site, which is `between` from rows that are `gap` apart."""
    return float(np.clip(gap / between, LEAST, 1)) if between else 1.0


def factors_of(gap: float, between: np.ndarray) -> list[float]:
    """The factor of each of S sites, from distances (S, n) to its rows and the own gap."""
    if between.size and np.isfinite(between).all():  # all at once, where none is to be left out
        gaps = np.quantile(between, SHARE, axis=1).tolist()
    else:
        gaps = [gap_of(distances) for distances in between]
    return [factor_of(gap, one) for one in gaps]


def to_others(
    bank: Bank, others: Sequence[np.ndarray], points: np.ndarray, knobs: ScoreKnobs, device: str
) -> np.ndarray:
    """(S, n): how far points (n, D) are from the rows of each of S other sites."""
    if len(others) > ONE_BY_ONE:
        return to_parts(bank.rows, others, as_rows(bank.fingerprint, points))
    parts = (bank_of_rows(bank, bank.rows[rows]) for rows in others)
    found = [nearest(part, points, knobs=knobs, device=device).distance for part in parts]
    return np.array(found, np.float32).reshape(-1, len(points))


def samples_of(
    bank: Bank, others: Sequence[np.ndarray]
) -> tuple[np.ndarray, Callable[[np.ndarray], list[float]]]:
    """Points (n, D): up to `SAMPLE` rows of each of S other sites, one site after the other; and
    what makes of n distances the gap of each site."""
    some = [rows[_turns(bank.row[rows])[:SAMPLE]] for rows in others]
    ends = np.cumsum([len(rows) for rows in some])[:-1]

    def gaps(distances: np.ndarray) -> list[float]:
        return [gap_of(one) for one in np.split(distances, ends)]

    return bank.rows[np.concatenate(some)], gaps


def to_parts(rows: np.ndarray, parts: Sequence[np.ndarray], points: np.ndarray) -> np.ndarray:
    """(S, n) float32: how far points (n, D) are from the nearest of the rows that each of S parts
    names, by products in float64, which are nearer the truth than float32's differences."""
    order, mean = np.concatenate(parts), points.mean(axis=0, dtype=np.float64)
    whose = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    centred = points - mean
    least = np.full((len(parts), len(points)), np.inf)
    for at in range(0, len(order), BLOCK):
        some, part = rows[order[at : at + BLOCK]] - mean, whose[at : at + BLOCK]
        squares = np.square(some).sum(axis=1)[:, None] - 2 * (some @ centred.T)
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        found = np.minimum.reduceat(squares, starts, axis=0)
        least[part[starts]] = np.minimum(least[part[starts]], found)
    least += np.square(centred).sum(axis=1)
    return np.sqrt(np.maximum(least, 0)).astype(np.float32)


class Apart:
    """Of some rows of a site's own bank the nearest row of each of its images.

    Where nothing says of which image rows are, all count as of one.

    Args:
        some: (n,) the numbers of these rows; -1 of one that is another site's.
        points: (n, D) them, if not all are own.
    """

    def __init__(self, own: Bank, some: np.ndarray, points: np.ndarray | None = None) -> None:
        self.own, self.some = own, some
        self.points = own.rows[some] if points is None else points
        known = len(own.source) == len(own)
        image = own.image if known else np.zeros(len(own), np.int64)
        self.images, number = np.unique(image, return_inverse=True)
        self.mine = np.where(some < 0, -1, number[some])  # which of `images` each row is of
        shape = (len(some), len(self.images))
        self.row, self.square = np.zeros(shape, np.int64), np.full(shape, np.inf, np.float32)
        mean = own.rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        points = -2 * (self.points - mean)
        by_image = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
        for column, rows in enumerate(by_image):
            for at in range(0, len(rows), BLOCK):
                self._seen(points, mean, rows[at : at + BLOCK], column)

    def _seen(self, points: np.ndarray, mean: np.ndarray, rows: np.ndarray, column: int) -> None:
        """Take rows of an image into account, those which are not the very same row."""
        centred = self.own.rows[rows] - mean
        squares = points @ centred.T + np.einsum("md,md->m", centred, centred)
        squares[self.some[:, None] == rows] = np.inf
        nearest_, every = squares.argmin(axis=1), np.arange(len(self.some))
        closer = squares[every, nearest_] < self.square[:, column]
        self.row[closer, column] = rows[nearest_[closer]]
        self.square[closer, column] = squares[every, nearest_][closer]

    def distances(self, number: np.ndarray, left: Iterable[int] = ()) -> np.ndarray:
        """(n,) float32: how far these of the rows are from the nearest one of another image.

        Of an image that is the only one, from its other rows; infinite where there is none.

        Args:
            number: which of `some`, none of them of an image that is left out.
            left: images that are left out.
        """
        every, mine = np.arange(len(number)), self.mine[number]
        squares = np.where(np.isin(self.images, list(left)), np.inf, self.square[number])
        inside, ours = squares[every, mine], mine >= 0
        squares[every[ours], mine[ours]] = np.inf
        alone = ours & np.isinf(squares).all(axis=1)
        squares[every[alone], mine[alone]] = inside[alone]
        row = self.row[number, squares.argmin(axis=1)]
        found = np.linalg.norm(self.points[number] - self.own.rows[row], axis=1)
        return np.where(np.isinf(squares).all(axis=1), np.float32(np.inf), found)
