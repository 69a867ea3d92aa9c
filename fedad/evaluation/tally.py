"""Whole numbers at places most of which hold 0: what occurs is held, and its close neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedad.evaluation.bins import is_new


class Line(NamedTuple):
    """What is not 0, along one row of bins or places."""

    bins: np.ndarray  # (n,) int64, ascending
    values: np.ndarray  # (..., n) int64, replicates in front


@dataclass(frozen=True, eq=False)
class Tally:
    """Numbers at places 0, 1, 2, ..., held in stretches of `width` neighbouring places.

    A stretch that holds nothing but 0 need not be there. Tallies of one width and batch add place
    by place. Replicates come last in memory, so that those of a place are in one piece, and their
    stretches are one place wide.
    """

    stretches: np.ndarray  # (k,) int64, ascending: stretch s begins at place s * width
    values: np.ndarray  # (k, width) int64; (k, 1, R) of R replicates

    @classmethod
    def empty(cls, width: int) -> Tally:
        """Nothing, without replicates."""
        return cls(np.empty(0, np.int64), np.empty((0, width), np.int64))

    @classmethod
    def of(cls, places: np.ndarray, values: np.ndarray, width: int) -> Tally:
        """The numbers `values` (n, ...) at `places` (n,) ascending, each once."""
        if width == 1:
            return cls(places, values[:, None].astype(np.int64, copy=False))
        of_place, within = divided(places, width)
        new = is_new(of_place)
        held = np.zeros((np.count_nonzero(new), width, *values.shape[1:]), np.int64)
        held[new.cumsum() - 1, within] = values
        return cls(of_place[new], held)

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def batch(self) -> tuple[int, ...]:
        return self.values.shape[2:]

    def __add__(self, other: Tally) -> Tally:
        if _comes_before(self.stretches, other.stretches):
            parts = zip((self.stretches, self.values), (other.stretches, other.values), strict=True)
            return Tally(*map(np.concatenate, parts))
        stretches, own, others = union(self.stretches, other.stretches)
        if len(stretches) == len(self.stretches):
            values = self.values.copy()
        else:
            values = np.zeros((len(stretches), *self.values.shape[1:]), np.int64)
            values[own] = self.values
        values[others] += other.values
        return Tally(stretches, values)

    def only(self, wanted: np.ndarray) -> Tally:
        """The stretches that are wanted, (k,) bool."""
        return Tally(self.stretches[wanted], self.values[wanted])

    def folded(self, span: int, wanted: np.ndarray) -> Tally:
        """The wanted stretches, (k,) bool, those that are alike modulo `span` added up."""
        found = np.flatnonzero(wanted)
        rest = self.stretches[found] % span
        order = rest.argsort(kind="stable")
        rest = rest[order]
        new = is_new(rest)
        values = self.values[found[order]]
        if not new.all():
            values = np.add.reduceat(values, np.flatnonzero(new))
        return Tally(rest[new], values)

    def sums(self, span: int, count: int) -> np.ndarray:
        """(count, ...): the sum over each `span` stretches, from the first on."""
        found = np.zeros((count, *self.batch), np.int64)
        parts = self.stretches // span
        starts = np.flatnonzero(is_new(parts))
        if starts.size:
            found[parts[starts]] = np.add.reduceat(self.values.sum(axis=1), starts)
        return found

    def line(self) -> Line:
        """The places that hold something, and their numbers."""
        values = self.values.reshape(-1, *self.batch)
        if self.batch:
            return Line(self.stretches, values.T)
        found = np.flatnonzero(values)
        stretch, within = divided(found, self.width)
        return Line(self.stretches[stretch] * self.width + within, values[found])


def stack(tallies: Sequence[Tally]) -> Tally:
    """One tally in which each of `tallies`, without replicates, is a replicate."""
    which = np.repeat(np.arange(len(tallies)), [len(one.stretches) for one in tallies])
    values = np.concatenate([one.values for one in tallies])  # (k, width)
    stretches, at = np.unique(
        np.concatenate([one.stretches for one in tallies]), return_inverse=True
    )
    width = values.shape[1]
    held = np.zeros((len(stretches), width, len(tallies)), np.int64)
    held[at, :, which] = values
    occurs = held.any(axis=2)
    places = stretches[:, None] * width + np.arange(width)
    return Tally(places[occurs], held[occurs][:, None])


def union(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All numbers of two ascending arrays, ascending and once, and where those of each stand."""
    both = np.concatenate([one, other])
    order = both.argsort(kind="stable")
    ranked = both[order]
    new = is_new(ranked)
    place = np.empty(len(both), np.intp)
    place[order] = new.cumsum() - 1
    return ranked[new], place[: len(one)], place[len(one) :]


def divided(numbers: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
    """`np.divmod` of one divisor, several times as fast."""
    found = numbers // by
    return found, numbers - found * by


def _comes_before(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether all of one ascending array is below all of another."""
    return not one.size or not other.size or bool(one[-1] < other[0])
