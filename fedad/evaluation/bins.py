"""Bins along one axis of scores: which bin a score falls in, and where each bin begins.

Bin k holds the scores from `lower` of k up to, not including, `lower` of k + 1. Scores that share a
bin of a `lossless` kind are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

MAGNITUDE = 0x7FFFFFFF  # the bits of a float32 without its sign
FRACTION = 23  # bits of a float32 behind its exponent
EXPONENTS = 255  # of finite float32, 0 for the tiniest
HIGHEST = float(np.finfo(np.float32).max)
WINDOW = 2**15  # bins between the lowest and the highest score that are counted side by side
CHUNK = 2**16  # scores at a time: what they take stays in the processor's cache

Occurring = tuple[np.ndarray, np.ndarray]  # bins (n,) int64, ascending; how often each (n,) int64


class Bins(Protocol):
    """Bins of one axis. Two of the same kind are equal if their counts may be added."""

    @property
    def name(self) -> str: ...

    @property
    def lossless(self) -> bool: ...

    def __len__(self) -> int: ...

    def count(self, scores: np.ndarray) -> Occurring:
        """The bins that `scores` (n,) fall in, and how many fall in each."""
        ...

    def lower(self, bins: np.ndarray) -> np.ndarray:
        """The lowest score (n,) float64 of each of `bins` (n,); -inf where it has none."""
        ...


@dataclass(frozen=True)
class FloatBins:
    """The leading bits of a float32: its sign, its exponent and the first `mantissa` bits.

    Every finite score has a bin, whatever its size and sign, and higher scores have higher bins.
    Two scores of one bin differ by at most 2^-mantissa of their size (below 2^-126 in size, by at
    most 2^-(126 + mantissa)). -0.0 is 0.0. Scores of more bits are rounded to float32 first, and
    those beyond its range count as its last number.
    """

    mantissa: int
    lossless: bool = False

    @property
    def name(self) -> str:
        return f"float{self.mantissa}"

    def __len__(self) -> int:
        return 2 * EXPONENTS << self.mantissa

    def of(self, scores: np.ndarray) -> np.ndarray:
        """The bin of each of `scores` (n,) finite: (n,) int32."""
        bits = _single(scores).view(np.int32)
        sign = bits >> 31  # -1 below zero, else 0
        found = sign & MAGNITUDE
        found ^= bits
        found -= sign  # as many floats from zero as the score is
        found >>= FRACTION - self.mantissa
        found += EXPONENTS << self.mantissa
        return found

    def count(self, scores: np.ndarray) -> Occurring:
        """Side by side where they lie within a window, else by sorting: never in all bins."""
        if not scores.size:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        low, high = (int(end) for end in self.of(np.array([scores.min(), scores.max()])))
        chunks = (self.of(scores[k : k + CHUNK]) for k in range(0, len(scores), CHUNK))
        if high - low < WINDOW:
            return _side_by_side(chunks, low, high)
        return _sorted(chunks, len(scores))

    def lower(self, bins: np.ndarray) -> np.ndarray:
        """The first has -inf: no float32 is below it."""
        ordered = np.asarray(bins, np.int64) - (EXPONENTS << self.mantissa)
        ordered <<= FRACTION - self.mantissa
        sizes = np.abs(ordered).astype(np.uint32).view(np.float32).astype(float)
        return np.copysign(sizes, ordered)


@dataclass(frozen=True)
class IntegerBins:
    """One bin a value of `uint8` or `uint16`."""

    name: str
    lossless: bool = True

    def __len__(self) -> int:
        return int(np.iinfo(self.name).max) + 1

    def __contains__(self, score: float) -> bool:
        return score.is_integer() and 0 <= score < len(self)

    def count(self, scores: np.ndarray) -> Occurring:
        counts = np.bincount(scores.astype(self.name, copy=False), minlength=len(self))
        found = np.flatnonzero(counts)
        return found, counts[found]

    def lower(self, bins: np.ndarray) -> np.ndarray:
        return np.asarray(bins, float)


@dataclass(frozen=True, eq=False)
class EdgeBins:
    """Bins between any edges, such as the scores of some images.

    The first bin also holds all that is lower than its edge.
    """

    name: str
    edges: np.ndarray  # (bins,) ascending, of the scores' own type
    lossless: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EdgeBins) and np.array_equal(self.edges, other.edges)

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.edges)

    def count(self, scores: np.ndarray) -> Occurring:
        below = np.searchsorted(np.sort(scores), self.edges[1:])
        counts = np.diff(below, prepend=0, append=len(scores))
        found = np.flatnonzero(counts)
        return found, counts[found]

    def lower(self, bins: np.ndarray) -> np.ndarray:
        first = self.edges[:1] if self.lossless else [-np.inf]
        return np.concatenate([first, self.edges[1:]]).astype(float)[bins]


def _side_by_side(chunks: Iterable[np.ndarray], low: int, high: int) -> Occurring:
    counts = np.zeros(high - low + 1, np.int64)
    for bins in chunks:
        counts += np.bincount(bins - low, minlength=len(counts))
    found = np.flatnonzero(counts)
    return found + low, counts[found]


def _sorted(chunks: Iterable[np.ndarray], size: int) -> Occurring:
    bins, start = np.empty(size, np.int32), 0
    for chunk in chunks:
        bins[start : start + len(chunk)] = chunk
        start += len(chunk)
    bins.sort()
    starts = np.flatnonzero(is_new(bins))
    return bins[starts].astype(np.int64), np.diff(starts, append=size)


def is_new(ascending: np.ndarray) -> np.ndarray:
    """Whether each number differs from the one before it."""
    new = np.ones(len(ascending), bool)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    return new


def _single(scores: np.ndarray) -> np.ndarray:
    """`scores` as float32."""
    if scores.dtype.itemsize > 4:
        scores = scores.clip(-HIGHEST, HIGHEST)
    return np.ascontiguousarray(scores, np.float32)
