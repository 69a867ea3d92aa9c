"""How far the oddest of some patches is from rows, less a few of them: for many images in turn.

Plain search copies the rows for each image and compares each patch with each row. Here rows are
brought to few coordinates once, in which no distance is longer than it is. They find a near row of
each patch among every eighth, of the patches that may then be the oddest one among all, and of the
few that still may all rows that may be nearest; only these are compared in full.

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
SAMPLED = 256  # rows that these are found by
BLOCK = 1024  # rows of few coordinates at a time,
STEP = 256  # and patches that are multiplied with them
WHOLE = 128  # rows or patches in all their features at a time: in float64, 1.5 MB of 1,536
SPARSE = 8  # of so many rows one is looked at for a first bound of every patch
TAKEN = 64  # patches, the oddest by that bound first, that are then compared with all rows
TRIED = 256  # patches; if that many may be the oddest, plain search is as fast
ROUND = 2.0**-24  # the most by which float32 rounds a number, relative to it,
LARGEST = 1e12  # of a feature: squares of more might overflow
TINY = 1e-30  # and where it is next to 0
FAR = np.float32(1e37)  # squared, beyond all features


class LeftOut:
    """Rows (M, D) float32, copied in doubt alone.

    Args:
        numbers: which of `rows` they are; all of them if not told.
    """

    def __init__(
        self, rows: np.ndarray, device: str = "cpu", numbers: np.ndarray | None = None
    ) -> None:
        self.rows, self.device = rows, device
        self.all = numbers is None
        self.numbers = np.arange(len(rows)) if numbers is None else numbers
        some = np.unique(np.linspace(0, len(self) - 1, min(SAMPLED, len(self))).astype(int))
        sample = self.at(some).astype(np.float64)
        self.centre = sample.mean(axis=0)
        self.directions = _main(sample - self.centre)
        total, found = np.zeros(rows.shape[1]), []
        for block in self._blocks():
            centred = block - self.centre
            total += centred.sum(axis=0)
            found.append((_largest(block), *self._few(centred)))
        values, near, length = zip(*found, strict=True)
        near, self.length = np.concatenate(near), np.concatenate(length)
        self.largest_value = float(np.max(values))
        self.copy: np.ndarray | None = None  # kept: new memory takes longer than what goes there
        self.aside = float(np.linalg.norm(total)) / len(self)  # the mean, from the centre
        self.table = np.column_stack([-2 * near, np.square(near).sum(axis=1)])  # for products

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, some: np.ndarray) -> np.ndarray:
        """The rows with these numbers."""
        return self.rows[some if self.all else self.numbers[some]]

    def copied(self, some: np.ndarray) -> np.ndarray:
        """`at`, until it is asked again."""
        if self.copy is None:
            self.copy = np.empty((len(self), self.rows.shape[1]), np.float32)
        to = self.copy[: len(some)]
        return np.take(self.rows, self.numbers[some], axis=0, out=to, mode="clip")

    def largest(
        self, patches: np.ndarray, out: np.ndarray, valid: np.ndarray | None = None
    ) -> np.float32 | None:
        """The largest distance of `patches` to these rows less those numbered `out`; as `largest`
        of one part."""
        return largest([Part(self, out)], patches, valid)

    def brought(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, D) in few coordinates (N, K + 1) float32, and how far from the centre (N,).

        The last coordinate is the length of what the others leave out.
        """
        found = np.empty((len(points), self.directions.shape[1] + 1), np.float32)
        length = np.empty(len(points))
        for at in range(0, len(points), WHOLE):
            some = slice(at, at + WHOLE)
            found[some], length[some] = self._few(points[some] - self.centre)
        return found, length

    def _few(self, centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`brought` of points (N, D) float64 that are centred."""
        inside = centred @ self.directions
        square = np.einsum("nd,nd->n", centred, centred)
        left = np.sqrt(np.maximum(square - np.square(inside).sum(axis=1), 0))
        return np.column_stack([inside, left]).astype(np.float32), np.sqrt(square)

    @contextmanager
    def without(self, out: np.ndarray) -> Iterator[None]:
        """Inside, nothing is near these rows."""
        squares = self.table[out, -1]
        self.table[out, -1] = FAR
        yield
        self.table[out, -1] = squares

    def _blocks(self) -> Iterator[np.ndarray]:
        for at in range(0, len(self), WHOLE):
            some = slice(at, at + WHOLE)
            yield self.rows[some] if self.all else self.rows[self.numbers[some]]


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
    if not np.max([_largest(patches), *(part.known.largest_value for part in left)]) < LARGEST:
        return None
    seen = [_Seen(part, patches) for part in left]
    asked = np.arange(len(patches)) if valid is None else np.flatnonzero(valid)
    if not len(asked):
        return np.float32(0)
    widest = max(one.widest for one in seen)
    found, tried = np.float32(-1), 0
    unsure: list[tuple[int, np.float32, Doubt]] = []
    for some, rest in _oddest_first(asked, _bounds(seen, asked, SPARSE)):
        bounds = _bounds(seen, some)
        for at in np.argsort(-bounds, kind="stable").tolist():
            limit = bounds[at] + widest
            if np.sqrt(limit) * 1.0001 < found:  # and of all that follow
                break
            if tried == TRIED or not np.isfinite(limit):
                return None
            tried, patch = tried + 1, int(some[at])
            near = [(one, *one.nearest(patch, limit)) for one in seen]
            doubt = [(one, rows) for one, rows, _ in near if len(rows)]
            ways = [one.factor * distances for one, rows, distances in near if len(rows)]
            found = max(found, min(each.min() for each in ways))
            unsure.append((patch, min(each.max() for each in ways), doubt))
        if np.sqrt(rest + widest) * 1.0001 < found:
            break
    unsure = [one for one in unsure if one[1] > found]
    return max(found, _searched(unsure)) if unsure else found


def _oddest_first(asked: np.ndarray, bounds: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """The patches some at a time, with the largest bound (P,) of those that follow."""
    order = np.argsort(-bounds, kind="stable")
    for at in range(0, len(order), TAKEN):
        rest = order[at + TAKEN : at + TAKEN + 1]
        yield asked[order[at : at + TAKEN]], float(bounds[rest].max(initial=0))


def _bounds(seen: Sequence[_Seen], some: np.ndarray, step: int = 1) -> np.ndarray:
    """(N,): a bound of the least squared distance of some patches to any part, times its factor."""
    return np.min([float(one.factor) ** 2 * one.bounds(some, step) for one in seen], axis=0)


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
        rest = self.known.copied(kept)
        asked = {patch: np.searchsorted(kept, rows) for patch, rows in among.items()}
        found = again(rest, self.patches, asked, self.known.device)
        gaps = self.patches[[*found]] - rest[[*found.values()]]
        distances = self.factor * np.linalg.norm(gaps, axis=1)
        return dict(zip(found, distances, strict=True))

    def _off(self) -> Callable[[Any, Any], Any]:
        """Lengths of a patch and of rows -> the most by which float32's products are off, squared.

        Plain search centres by the mean of the rows that are left. The mean of all is as far from
        that as the rows that are left out are from it, all of them one way at most.
        """
        known, left = self.known, max(1, len(self.known) - len(self.out))
        moved = (known.length[self.out].sum() + len(self.out) * known.aside) / left + known.aside
        share = (self.patches.shape[1] + 16) * ROUND

        def off(patch: Any, row: Any) -> Any:
            row = row + moved
            return share * 1.05**2 * row * (row + 2 * (patch + moved)) + TINY

        return off

    def bounds(self, some: np.ndarray, step: int = 1) -> np.ndarray:
        """(N,): the squared distance of some patches to a row that is probably the nearest, of
        every `step`-th, or a little more."""
        table = self.known.table[::step]
        row, least = np.zeros(len(some), np.int64), np.zeros(len(some), np.float32)
        with self.known.without(self.out):
            for at in range(0, len(some), STEP):
                few = slice(at, at + STEP)
                row[few], least[few] = _least(self.near[some[few]], table)
        found = np.empty(len(some), np.float32)
        for at in range(0, len(some), WHOLE):
            few = slice(at, at + WHOLE)
            gaps = self.patches[some[few]] - self.known.at(step * row[few])
            found[few] = np.einsum("nd,nd->n", gaps, gaps)
        found[least > FAR / 2] = np.inf  # all of these rows are left out
        return found * (1 + 4 * (self.patches.shape[1] + 16) * ROUND) + TINY

    def _reached(self, patch: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """The rows whose squared distance from a patch may be within `reach`, with it."""
        near, point = self.near[patch], self.patches[patch]
        with self.known.without(self.out):
            gaps = self.known.table @ near + np.square(near[:-1], dtype=np.float64).sum()
        rows = np.flatnonzero(gaps <= reach)
        found = np.empty(len(rows))
        for at in range(0, len(rows), WHOLE):
            some = slice(at, at + WHOLE)
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


def _least(points: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,): the row of `table` (M, K) whose product with each point (N, K) is least, and that, by
    blocks that stay in a processor's cache."""
    least, row = np.full(len(points), np.inf), np.zeros(len(points), np.int64)
    every = np.arange(len(points))
    for at in range(0, len(table), BLOCK):
        products = points @ table[at : at + BLOCK].T
        here = products.argmin(axis=1)
        value = products[every, here]
        closer = value < least
        least[closer], row[closer] = value[closer], at + here[closer]
    return row, least


def _largest(points: np.ndarray) -> float:
    return float(max(points.max(), -points.min()))  # NaN where there is one


def _squares(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(N,) float64: squared distances of one point or N to N rows."""
    gaps = np.subtract(points, rows, dtype=np.float64)
    return np.einsum("nd,nd->n", gaps, gaps)
