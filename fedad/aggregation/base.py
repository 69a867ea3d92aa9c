"""What an aggregation is, and how rows are shared out among sites."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median_low
from typing import Protocol

import numpy as np

from fedad.banks.bank import Bank
from fedad.config import WEIGHTINGS, MergeKnobs, factors

CAP = 1.5  # medians of all sites: the most that one site is believed to have
DISTRUSTING = "quota"  # the one way of joining that does not take a site's word for its counts

Choose = Callable[[np.ndarray, int, Sequence[int]], np.ndarray]
"""Points (N, D), how many, rows kept already -> row numbers: a coreset with its draws settled."""


class Aggregation(Protocol):
    """Joins `uploads`, in the order of their sites' names, into one bank of `size` rows.

    Args:
        uploads: of one category, or of all where the scope is mixed; rows farthest first.
        size: how many rows to keep, at most as many as were uploaded; `quota` keeps fewer where
            a site repeats its rows.
        knobs: `merge.*`.
        choose: how to select among rows.
    """

    def __call__(
        self, uploads: Sequence[Bank], size: int, *, knobs: MergeKnobs, choose: Choose
    ) -> Bank: ...


def shares(weights: Sequence[float], size: int, available: Sequence[int]) -> list[int]:
    """`size` rows shared out by weight, by largest remainder, nobody more than they have.

    What one cannot give is shared among the others in the same way. Of equal remainders the first
    wins.

    >>> shares([305, 305, 304], 100, [50, 50, 50])
    [34, 33, 33]
    >>> shares([1, 1, 2], 10, [9, 9, 3])
    [4, 3, 3]
    """
    if size > sum(available):
        raise ValueError(f"{size} rows are wanted, and only {sum(available)} are there")
    given = [0] * len(weights)
    while (left := size - sum(given)) > 0:
        open_ = [i for i, most in enumerate(available) if given[i] < most]
        total = sum(weights[i] for i in open_)
        wanted = {i: left * (weights[i] / total if total else 1 / len(open_)) for i in open_}
        floors = {i: math.floor(w + 1e-9) for i, w in wanted.items()}
        for i in sorted(open_, key=lambda i: floors[i] - wanted[i])[: left - sum(floors.values())]:
            floors[i] += 1
        for i, more in floors.items():
            given[i] = min(available[i], given[i] + more)
    return given


def shares_of_at_least(
    least: Sequence[int], weights: Sequence[float], size: int, available: Sequence[int]
) -> list[int]:
    """As `shares`, but nobody less than `least`: who would have less has that, and the others
    share the rest.

    >>> shares_of_at_least([1, 1, 1], [900, 1, 2], 10, [9, 9, 9])
    [8, 1, 1]
    """
    fixed: dict[int, int] = {}
    while True:
        free = [k for k in range(len(weights)) if k not in fixed]
        left = size - sum(fixed.values())
        given = shares([weights[k] for k in free], left, [available[k] for k in free])
        short = {k: least[k] for k, part in zip(free, given, strict=True) if part < least[k]}
        if not short:
            return [part for _, part in sorted([*fixed.items(), *zip(free, given, strict=True)])]
        fixed |= short


def image_counts(uploads: Sequence[Bank]) -> list[float]:
    """How many good images stand behind each upload."""
    return [float(upload.images.sum()) for upload in uploads]


def site_weights(uploads: Sequence[Bank], knobs: MergeKnobs) -> list[float]:
    """How much of the bank each upload may claim; see `weights_of`."""
    return weights_of([upload.sites[0] for upload in uploads], image_counts(uploads), knobs)


def weights_of(sites: Sequence[str], images: Sequence[float], knobs: MergeKnobs) -> list[float]:
    """What each site weighs, by `merge.weighting`.

    By its images, their square root, alike, or its images times the factor that its site is given.
    `coverage` begins with the images, and ends with factors (`fedad/banks/coverage.py`).
    """
    weighting = knobs.weighting
    if weighting == "equal":
        return [1.0 for _ in images]
    if weighting == "sqrt":
        return [math.sqrt(count) for count in images]
    given = {} if weighting in WEIGHTINGS else factors(weighting)
    return [count * given.get(site, 1.0) for count, site in zip(images, sites, strict=True)]


def believed(counts: Sequence[float]) -> list[float]:
    """Counts of the sites, each from 1 to `CAP` medians, so that a lie moves little.

    Of an even number of sites the median is the lower one: of two, the smaller counts.

    >>> believed([305, 1e9, 290, 0])
    [305.0, 435.0, 290.0, 1.0]
    """
    most = CAP * max(1.0, float(median_low(counts)))
    return [min(max(1.0, float(count)), most) for count in counts]


def thin(pool: Bank, size: int, choose: Choose, *, kept: Sequence[int] = (0,)) -> Bank:
    """`size` rows of a pool, chosen from the rows `kept`; all of it where that is its size."""
    return pool if size == len(pool) else pool.take(choose(pool.rows, size, kept))


def prefixes(uploads: Sequence[Bank], sizes: Sequence[int]) -> list[Bank]:
    """The first rows of each upload, which are a smaller coreset of the same images. Their arrays
    are views: joining them makes the one copy."""
    return [
        upload if size >= len(upload) else _first(upload, size)
        for upload, size in zip(uploads, sizes, strict=True)
    ]


def _first(upload: Bank, size: int) -> Bank:
    return upload.replace(
        **{name: getattr(upload, name)[:size] for name in ("rows", "category", "site", "row")},
        source=upload.source[:size],
    )
