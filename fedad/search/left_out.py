"""How far the oddest of some patches is from rows, less a few of them: for many images in turn.

Plain search copies the rows for each image and compares each patch with each row. Here rows are
brought to few coordinates once, in which no distance is longer than it is. They find a near row of
each patch, and of the few patches that may be the oddest all rows that may be nearest; only these
are compared in full.

The score is, bit for bit, what `nearest_rows.by_torch` leads to. Among rows that are equally near
to float32's rounding it may take any: where that could change the score, it is asked.

Rows may be in several parts that are searched apart, each with a factor for its distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from fedad.search.nearest_rows import again

COORDINATES = 32  # the main directions of the rows: 64 take a tenth longer for the same scores
SAMPLED = 512  # rows that these are found by
BLOCK = 1024  # rows, or patches, at a time,
STEP = 256  # and patches that are multiplied with it
TRIED = 256  # patches; if that many may be the oddest, plain search is as fast
ROUND = 2.0**-24  # the most by which float32 rounds a number, relative to it,
LARGEST = 1e12  # of a feature: squares of more might overflow
TINY = 1e-30  # and where it is next to 0


class LeftOut:
    """Rows (M, D) float32, none of which is copied but in doubt.

    Args:
        numbers: which of `rows` they are; all of them if not told.
    """

    def __init__(
        self, rows: np.ndarray, device: str = "cpu", numbers: np.ndarray | None = None
    ) -> None:
        self.rows, self.device = rows, device
        self.numbers = np.arange(len(rows)) if numbers is None else numbers
        self.largest_value = float(np.max([_largest(block) for block in self._blocks()]))
        total = np.zeros(rows.shape[1])
        for block in self._blocks():
            total += block.sum(axis=0, dtype=np.float64)
        self.mean = total / len(self)
        some = np.unique(np.linspace(0, len(self) - 1, min(SAMPLED, len(self))).astype(int))
        self.directions = _main(self.at(some) - self.mean)
        brought = [self.brought(block) for block in self._blocks()]
        near, self.length = (np.concatenate(column) for column in zip(*brought, strict=True))
        self.table = np.column_stack([-2 * near, np.square(near).sum(axis=1)])  # for products

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, some: np.ndarray) -> np.ndarray:
        """The rows with these numbers."""
        return self.rows[self.numbers[some]]

    def largest(
        self, patches: np.ndarray, out: np.ndarray, valid: np.ndarray | None = None
    ) -> np.float32 | None:
        """The largest distance of `patches` to these rows less those numbered `out`; as `largest`
        of one part."""
        return largest([Part(self, out)], patches, valid)

    def brought(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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

    @contextmanager
    def without(self, out: np.ndarray) -> Iterator[None]:
        """Inside, nothing is near these rows."""
        squares = self.table[out, -1]
        self.table[out, -1] = np.inf
        yield
        self.table[out, -1] = squares

    def _blocks(self) -> Iterator[np.ndarray]:
        for at in range(0, len(self), BLOCK):
            yield self.rows[self.numbers[at : at + BLOCK]]


class Part(NamedTuple):
    """Rows less those numbered `out`, whose distances count `factor` times, at most once."""

    known: LeftOut
    out: np.ndarray
    factor: float = 1.0


def largest(
    parts: Sequence[Part], patches: np.ndarray, valid: np.ndarray | None = None
) -> np.float32 | None:
    """The largest of the least distances of `patches` (P, D) to any part that has a row left.

    Args:
        valid: (P,) bool, the patches that are asked about; all of them if not told.

    None where too many patches may be the oddest, squares of float32 overflow, or no row is left.
    """
    left = [part for part in parts if len(part.out) < len(part.known)]
    if not left:
        return None
    if not max(*(part.known.largest_value for part in left), _largest(patches)) < LARGEST:
        return None
    seen = [_Seen(part, patches) for part in left]
    bounds = np.min([one.factor**2 * one.bounds for one in seen], axis=0)
    widest = max(one.widest for one in seen)
    found = np.float32(-1 if valid is None or valid.any() else 0)
    order = np.argsort(-bounds, kind="stable")
    order = order if valid is None else order[valid[order]]
    unsure: list[tuple[int, np.float32, Doubt]] = []
    for tried, patch in enumerate(order.tolist()):
        limit = bounds[patch] + widest
        if np.sqrt(limit) * 1.0001 < found:  # and of all that follow
            break
        if tried == TRIED or not np.isfinite(limit):
            return None
        near = [(one, *one.nearest(patch, limit)) for one in seen]
        doubt = [(one, rows) for one, rows, _ in near if len(rows)]
        ways = [one.factor * distances for one, rows, distances in near if len(rows)]
        found = max(found, min(each.min() for each in ways))
        unsure.append((patch, min(each.max() for each in ways), doubt))
    unsure = [one for one in unsure if one[1] > found]
    return max(found, _searched(unsure)) if unsure else found


class _Seen:
    """What a part's few coordinates say of patches: a bound of each patch's squared distance, and
    by how much float32's products may be off at most, squared."""

    def __init__(self, part: Part, patches: np.ndarray) -> None:
        self.known, self.out, self.factor = part.known, part.out, np.float32(part.factor)
        self.patches = patches
        near, self.length = self.known.brought(patches)
        self.near = np.column_stack([near, np.ones(len(near), np.float32)])
        self.off = self._off()
        self.widest = 2 * self.off(self.length.max(), self.known.length.max())
        self.bounds = self._bounds()

    def nearest(self, patch: int, limit: float) -> tuple[np.ndarray, np.ndarray]:
        """The rows any of which plain search may take as the nearest of a patch, and how far they
        are; none where they cannot matter beside another part, which has one within `limit`.

        Args:
            limit: squared, and times the factor.
        """
        reach = float(limit / self.factor**2) * 1.0001
        rows, squares = self._reached(patch, reach + 2 * self.widest)
        if not len(rows) or squares.min() > reach:
            return rows[:0], np.empty(0, np.float32)
        doubt = self.off(self.length[patch], self.known.length[rows])
        rows = rows[squares - doubt <= (squares + doubt).min()]
        return rows, np.linalg.norm(self.patches[patch] - self.known.at(rows), axis=1)

    def searched(self, among: Mapping[int, np.ndarray]) -> dict[int, np.float32]:
        """How far plain search finds the patches, each of which can find one of these rows."""
        kept = np.delete(np.arange(len(self.known)), self.out)
        rest = self.known.at(kept)
        asked = {patch: np.searchsorted(kept, rows) for patch, rows in among.items()}
        found = again(rest, self.patches, asked, self.known.device)
        gaps = self.patches[[*found]] - rest[[*found.values()]]
        distances = self.factor * np.linalg.norm(gaps, axis=1)
        return dict(zip(found, distances, strict=True))

    def _off(self) -> Callable[[Any, Any], Any]:
        """Lengths of a patch and of rows -> the most by which float32's products are off, squared.

        Plain search centres by the mean of the rows that are left, which is not quite the mean of
        all.
        """
        moved = np.linalg.norm((self.known.at(self.out) - self.known.mean).sum(axis=0))
        moved /= max(1, len(self.known) - len(self.out))
        share = (self.patches.shape[1] + 16) * ROUND
        return lambda patch, row: share * (1.05 * (patch + row + 2 * moved)) ** 2 + TINY

    def _bounds(self) -> np.ndarray:
        """(P,): the squared distance of each patch to a row that is probably the nearest."""
        row = np.zeros(len(self.patches), np.int64)
        with self.known.without(self.out):
            for at in range(0, len(row), STEP):
                some = slice(at, at + STEP)
                row[some] = _least(self.near[some], self.known.table)
        found = np.empty(len(row))
        for at in range(0, len(row), BLOCK):
            some = slice(at, at + BLOCK)
            found[some] = _squares(self.patches[some], self.known.at(row[some]))
        return found

    def _reached(self, patch: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """The rows whose squared distance from a patch may be within `reach`, with it."""
        near, point = self.near[patch], self.patches[patch]
        with self.known.without(self.out):
            gaps = self.known.table @ near + np.square(near[:-1], dtype=np.float64).sum()
        rows = np.flatnonzero(gaps <= reach)
        found = np.empty(len(rows))
        for at in range(0, len(rows), BLOCK):
            some = slice(at, at + BLOCK)
            found[some] = _squares(point, self.known.at(rows[some]))
        return rows, found


Doubt = list[tuple[_Seen, np.ndarray]]  # the parts that matter to a patch, and their rows in doubt


def _searched(unsure: Sequence[tuple[int, np.float32, Doubt]]) -> np.float32:
    """The largest distance of the patches that plain search is asked of, where it matters."""
    among: dict[_Seen, dict[int, np.ndarray]] = {}
    for patch, _, doubt in unsure:
        for one, rows in doubt:
            among.setdefault(one, {})[patch] = rows
    found: dict[int, np.float32] = {}
    for one, asked in among.items():
        for patch, distance in one.searched(asked).items():
            found[patch] = min(distance, found.get(patch, distance))
    return max(found.values())


def _main(centred: np.ndarray) -> np.ndarray:
    """(D, K): orthonormal directions in which points (N, D) float64 vary most."""
    _, vectors = np.linalg.eigh(centred @ centred.T)
    directions, _ = np.linalg.qr(centred.T @ vectors[:, ::-1][:, :COORDINATES])
    return directions


def _least(points: np.ndarray, table: np.ndarray) -> np.ndarray:
    """(N,): the row of `table` (M, K) whose product with each point (N, K) is least, by blocks that
    stay in a processor's cache."""
    least, row = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    every = np.arange(len(points))
    for at in range(0, len(table), BLOCK):
        products = points @ table[at : at + BLOCK].T
        here = products.argmin(axis=1)
        closer = products[every, here] < least
        least[closer], row[closer] = products[every, here][closer], at + here[closer]
    return row


def _largest(points: np.ndarray) -> float:
    return float(max(points.max(), -points.min()))  # NaN where there is one


def _squares(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,) float64: squared distances of one point or N to N rows."""
    gaps = np.subtract(points, rows, dtype=np.float64)
    return np.einsum("nd,nd->n", gaps, gaps)
