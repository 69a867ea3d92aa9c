"""All scores -> the four curves, every distinct score a threshold.

The negatives are sorted (or, for integer maps, counted) once; of a pixel in a region it then only
matters how many of them score above it. Memory: one copy of the scores, whatever the masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fedad.evaluation.curve import Curve, Steps
from fedad.evaluation.ranked import Ranked
from fedad.evaluation.scored import Scored

BLOCK = 2**17  # pixels looked up at a time


class Sorted:
    """Scores in ascending order, asked how many are above something."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores  # (n,)

    def __len__(self) -> int:
        return len(self.scores)

    def ranks(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many are above each of `scores` (K,), and how many as high or higher."""
        lower = np.searchsorted(self.scores, scores)
        until = lower.copy()  # lower or equal; the second search is for ties alone
        tied = np.flatnonzero(lower < len(self))
        tied = tied[self.scores[lower[tied]] == scores[tied]]
        until[tied] = np.searchsorted(self.scores, scores[tied], side="right")
        return len(self) - until, len(self) - lower

    def above(self, thresholds: np.ndarray) -> np.ndarray:
        """How many are above each of `thresholds` (T,) float64."""
        rounded = thresholds.astype(self.scores.dtype)
        down = np.nextafter(rounded, rounded.dtype.type(-np.inf))
        rounded = np.where(rounded > thresholds, down, rounded)
        return len(self) - np.searchsorted(self.scores, rounded, side="right")

    def levels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The distinct scores (K,), ascending, and how often each occurs: highest ones first."""
        stop = len(self)
        while stop:
            start = np.searchsorted(self.scores, self.scores[max(0, stop - BLOCK)])  # cuts no tie
            yield np.unique(self.scores[start:stop], return_counts=True)
            stop = start


class Counted:
    """The same for integers, from how often each of them occurs."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts  # (values,)
        self.reaching = np.append(counts[::-1].cumsum()[::-1], 0)  # as high or higher

    def __len__(self) -> int:
        return int(self.reaching[0])

    def ranks(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = scores.astype(np.intp)
        return self.reaching[values + 1], self.reaching[values]

    def above(self, thresholds: np.ndarray) -> np.ndarray:
        values = np.floor(thresholds).astype(np.intp)
        return self.reaching[np.clip(values + 1, 0, len(self.counts))]

    def levels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        values = np.flatnonzero(self.counts)
        if values.size:
            yield values, self.counts[values]


@dataclass(frozen=True, eq=False)
class Pool:
    """The pixels of many images, told apart by where they lie."""

    negative: Sorted | Counted  # in no region
    positive: Sorted | Counted  # in at least one
    regions: Sequence[tuple[np.ndarray, int]]  # scores (A,) of each region, ascending; saturation


def rank_exactly(images: Sequence[Scored]) -> Ranked:
    """The curves of `images`, to the last score."""
    pool = gather(images)
    good, bad = (
        Sorted(np.sort([image.image_score for image in images if image.cell.is_good() == side]))
        for side in (True, False)
    )
    return Ranked(
        images=_of_scores(good, bad),
        pixels=_of_scores(pool.negative, pool.positive),
        covered=_of_regions(pool, lambda scores, saturation: scores[-saturation:]),
        pro=_of_regions(pool, lambda scores, saturation: scores),
    )


def gather(images: Sequence[Scored]) -> Pool:
    """The pixels of `images`, every score held once, and those of regions once a channel."""
    dtype = np.result_type(np.uint8, *(image.map.dtype for image in images))
    collect = _Counts(dtype) if dtype.kind == "u" else _Buffer(dtype, images)
    regions = []
    for image in images:
        pixels = image.pixels()
        collect.add(pixels.negative, pixels.positive)
        regions += [(np.sort(scores), saturation) for scores, saturation in pixels.regions]
    negative, positive = collect.ranked()
    return Pool(negative, positive, regions)


class _Counts:
    """Collects integers by counting them."""

    def __init__(self, dtype: np.dtype) -> None:
        self.negative, self.positive = np.zeros((2, np.iinfo(dtype).max + 1), np.int64)

    def add(self, negative: np.ndarray, positive: np.ndarray) -> None:
        self.negative += np.bincount(negative, minlength=len(self.negative))
        if positive.size:
            self.positive += np.bincount(positive, minlength=len(self.positive))

    def ranked(self) -> tuple[Counted, Counted]:
        return Counted(self.negative), Counted(self.positive)


class _Buffer:
    """Collects floats in one array, negatives from its start, positives from its end."""

    def __init__(self, dtype: np.dtype, images: Sequence[Scored]) -> None:
        self.scores = np.empty(sum(image.map.size for image in images), dtype)
        self.start, self.stop = 0, len(self.scores)

    def add(self, negative: np.ndarray, positive: np.ndarray) -> None:
        self.scores[self.start : self.start + len(negative)] = negative
        self.scores[self.stop - len(positive) : self.stop] = positive
        self.start += len(negative)
        self.stop -= len(positive)

    def ranked(self) -> tuple[Sorted, Sorted]:
        negative, positive = self.scores[: self.start], self.scores[self.stop :]
        negative.sort()
        positive.sort()
        return Sorted(negative), Sorted(positive)


def _of_scores(negative: Sorted | Counted, positive: Sorted | Counted) -> Curve:
    """The ROC curve of the positives among the negatives."""

    def steps() -> Iterator[Steps]:
        for levels, gain in positive.levels():
            above, reaching = negative.ranks(levels)
            yield Steps(above[::-1], reaching[::-1], gain[::-1])

    return Curve(np.array(len(negative)), np.array(len(positive)), steps)


def _of_regions(pool: Pool, kept: Callable[[np.ndarray, int], np.ndarray]) -> Curve:
    """The coverage of all regions, each being found in full once its `kept` scores are."""

    def steps() -> Iterator[Steps]:
        for regions in _batches(pool.regions):
            parts = [kept(scores, saturation) for scores, saturation in regions]
            gain = np.concatenate([np.full(len(part), 1 / len(part)) for part in parts])
            scores = np.concatenate(parts)
            order = np.argsort(scores)  # for the search, which is faster in order
            yield Steps(*pool.negative.ranks(scores[order]), gain[order])

    return Curve(np.array(len(pool.negative)), np.array(len(pool.regions)), steps)


def _batches(
    regions: Sequence[tuple[np.ndarray, int]],
) -> Iterator[list[tuple[np.ndarray, int]]]:
    """`regions` in their order, a few large or many small ones at a time."""
    batch: list[tuple[np.ndarray, int]] = []
    pixels = 0
    for region in regions:
        batch.append(region)
        pixels += len(region[0])
        if pixels >= BLOCK:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
