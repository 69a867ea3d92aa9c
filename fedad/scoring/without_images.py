"""The score of each training image of a site by a bank without the rows that were taken from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.origin import image_of_rows
from fedad.config import ScoreKnobs
from fedad.scoring._by_site import others_of
from fedad.scoring._gaps import (
    ONE_BY_ONE,
    SAMPLE,
    Apart,
    factor_of,
    factors_of,
    gap_of,
    in_turn,
    is_thinned,
    kept_of,
    rows_a_patch,
    samples_of,
    to_others,
)
from fedad.search.left_out import LeftOut, Part, largest
from fedad.types import Features

CELLS = 2**22  # distances of rows to images that are kept: 50 MB

Parts = Callable[[Sequence[int]], list[Part]]  # images that are left out -> what is left


class WithoutImages:
    """What plain search says of an image by `origin.without_images`, and no bank is copied for it.

    Args:
        own: the site's own bank, whose `source` says of which image each row is.
        knobs: `score.*`, with a scoring that is in `QUICK`.
    """

    def __init__(self, bank: Bank, own: Bank, site: str, knobs: ScoreKnobs, device: str) -> None:
        self.bank, self.own, self.knobs, self.device = bank, own, knobs, device
        self.image = image_of_rows(bank, own, site)
        self.parts = cache(self._parts)

    def score(self, features: Features, images: Sequence[int]) -> float | None:
        """The score of the one image in `features`, a training image, by a bank without the rows
        of the training images of these numbers.

        None where plain search has to be asked, or where no row is left.
        """
        category = "" if self.bank.scope == "mixed" else features.categories[0]
        if category and category not in self.bank.categories:
            return None
        if np.isin(self.image[_rows_of(self.bank, category)], images).all():
            return None
        valid = None if features.valid is None else features.valid.ravel()
        found = largest(self.parts(category)(images), features.patches, valid)
        return None if found is None else float(found)

    def _parts(self, category: str) -> Parts:
        """What a category (empty: any) is scored by."""
        rows = _rows_of(self.bank, category)
        bank = self.bank.of_category(category) if category else self.bank
        own = None
        if not category:
            own = self.own
        elif category in self.own.categories:
            own = self.own.of_category(category)
        image = self.image[rows]
        if own is None or not len(own):
            return _plain(bank, image, self.device)
        return QUICK[self.knobs.scoring](bank, image, own, self.knobs, self.device)


def _rows_of(bank: Bank, category: str) -> np.ndarray:
    """The numbers of the rows of a category, or of all (empty)."""
    if not category:
        return np.arange(len(bank))
    return np.flatnonzero(bank.category == bank.categories.index(category))


def _plain(bank: Bank, image: np.ndarray, device: str) -> Parts:
    known = LeftOut(bank.rows, device)
    return lambda images: [Part(known, _of(image, images))]


def _nearest(bank: Bank, image: np.ndarray, own: Bank, knobs: ScoreKnobs, device: str) -> Parts:
    """As `nearest` does, by the bank alone."""
    return _plain(bank, image, device)


def _with_own(bank: Bank, image: np.ndarray, own: Bank, knobs: ScoreKnobs, device: str) -> Parts:
    """As `with_own` does, by the bank and own rows."""
    known, mine = LeftOut(bank.rows, device), LeftOut(own.rows, device)
    return lambda images: [
        Part(known, _of(image, images)),
        Part(mine, _of(own.image, images)),
    ]


def _standardised(
    bank: Bank, image: np.ndarray, own: Bank, knobs: ScoreKnobs, device: str
) -> Parts:
    """As `standardised` does, by own rows and those of each other site in their own measure; very
    many sites, which it searches together, are left to it."""
    mine, numbers = LeftOut(own.rows, device), others_of(bank, own)
    if len(numbers) > ONE_BY_ONE:
        return lambda images: []
    others = [LeftOut(bank.rows, device, rows) for rows in numbers]
    plain, factors = _plain(bank, image, device), _Factors(bank, own, numbers, knobs, device)

    def parts(images: Sequence[int]) -> list[Part]:
        out = _of(own.image, images)
        if len(out) == len(own):
            return plain(images)
        if (left := factors(images)) is None:
            return []
        return [
            Part(mine, out),
            *(
                Part(known, _of(image[rows], images), factor)
                for known, rows, factor in zip(others, numbers, left, strict=True)
            ),
        ]

    return parts


class _Factors:
    """What is left of distances to each other site where images are left out."""

    def __init__(
        self,
        bank: Bank,
        own: Bank,
        others: Sequence[np.ndarray],
        knobs: ScoreKnobs,
        device: str,
    ) -> None:
        self.bank, self.own, self.others, self.knobs, self.device = bank, own, others, knobs, device
        self.turns = in_turn(own)
        self.image, self.kept = own.image[self.turns], kept_of(bank, own)[self.turns]
        self.per_patch = rows_a_patch(bank, own)
        self.measured = SAMPLE + SAMPLE // 8  # rows, in turn: the sample less an eighth
        self.apart: Apart | None = None

    def __call__(self, images: Sequence[int]) -> list[float] | None:
        """A factor a site; None where they have to be measured for these images alone."""
        if not self.others:
            return []
        there = ~np.isin(self.image, images)
        if is_thinned(self.kept[there], self.own, self.per_patch):
            return self._by_thinned(images)
        some = np.flatnonzero(there)[:SAMPLE]
        if (needed := some[-1] + 1) > self.measured:
            self.measured, self.apart = needed + needed // 8, None
        if self.apart is None:
            self.apart, self.between = self._measured(self.measured)
        gap = gap_of(self.apart.distances(some, images))
        return factors_of(gap, self.between[:, some])

    def _by_thinned(self, images: Sequence[int]) -> list[float] | None:
        """By rows that the bank has: see `standardised`."""
        image, apart, theirs, gaps = self._thinned
        some = np.flatnonzero(~np.isin(image, images))[:SAMPLE]
        if len(some) < SAMPLE and len(image) < self.kept.sum():  # there may be more
            return None
        gap = gap_of(apart.distances(some, images))
        found = theirs.distances(np.arange(len(theirs.some)), images)
        return [factor_of(gap, one) for one in gaps(found)]

    @cached_property
    def _thinned(self) -> tuple[np.ndarray, Apart, Apart, Callable[[np.ndarray], list[float]]]:
        """Own rows that the bank has, in turn: their images, and how far they are from own rows;
        how far rows of others are from these; and what makes gaps of that."""
        most = max(2 * SAMPLE, CELLS // len(np.unique(self.image)))
        some = np.flatnonzero(self.kept)[:most]
        points, gaps = samples_of(self.bank, self.others)
        theirs = Apart(self.own, np.full(len(points), -1), points)
        return self.image[some], Apart(self.own, self.turns[some]), theirs, gaps

    def _measured(self, count: int) -> tuple[Apart, np.ndarray]:
        """The gaps of so many rows, some of which are in the place of those that are left out."""
        some = self.turns[:count]
        points = self.own.rows[some]
        between = to_others(self.bank, self.others, points, self.knobs, self.device)
        return Apart(self.own, some), between


def _of(image: np.ndarray, images: Sequence[int]) -> np.ndarray:
    """The numbers of the rows that are of these images."""
    return np.flatnonzero(np.isin(image, images))


QUICK = {"nearest": _nearest, "with_own": _with_own, "standardised": _standardised}
