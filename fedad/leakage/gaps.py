"""How far an image's patches are from the rows of a bank, and which rows are patches of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fedad.banks.bank import Bank, by_value
from fedad.banks.measured import measured
from fedad.descriptors.apply import described_features
from fedad.descriptors.position import COLUMNS
from fedad.descriptors.settings import joins, table_of
from fedad.dp.projected import as_rows
from fedad.dp.released import released_rows
from fedad.errors import DataError
from fedad.messages.coded import CODED, MOST
from fedad.search.nearest_rows import SEARCHES
from fedad.types import Features

STATISTICS = ("least", "1 % quantile", "mean")  # of an image's distances; members have small ones
QUANTILE = 0.01
# Of a value, at most, when it is sealed; of a row's largest value where a row is coded.
ROUNDING = {"float32": 2.0**-24, "float16": 2.0**-11, CODED: 0.501 / MOST}
NOISE = 1e-5  # of a patch's largest value: what other threads or batches change of a feature


@dataclass(frozen=True, eq=False)
class Target:
    """The bank that is attacked: those of its rows that one product's patches are compared with,
    in measured form.

    `least` is what the largest value of a row was at least when it travelled: places, which are
    counted otherwise here, have a share in what a row is rounded by.
    """

    bank: Bank
    least: float = 0.0

    @property
    def rows(self) -> np.ndarray:
        """(M, D') float32."""
        return self.bank.rows

    def seen(self, patches: np.ndarray) -> np.ndarray:
        """Patches (N, D), described as the rows are, through the public projection if these were:
        (N, D')."""
        return as_rows(self.bank.fingerprint, patches)

    def described(self, features: Features) -> Features:
        """The features as the rows are described."""
        return described_features(features, table_of(self.bank.fingerprint))

    @property
    def looks(self) -> slice:
        """The columns that say what a patch looks like; those after them say where it is."""
        return slice(-COLUMNS if joins(table_of(self.bank.fingerprint)) else None)


class Looked(NamedTuple):
    """Of some images: their statistics, and the rows that are patches of them."""

    statistics: np.ndarray  # (B, 3) float32, in the order of `STATISTICS`
    image: np.ndarray  # (K,) int: a row was found in this image, which may be so of several
    row: np.ndarray  # (K,) int


def target_of(bank: Bank, product: str) -> Target:
    """The rows of a product, or all of them in a mixed bank; padding of zeros is left out.

    Raises:
        DataError: no row of the product.
    """
    least = float(bank.squares.size > 0)
    bank = measured(bank)
    if bank.fingerprint.projection:
        bank = released_rows(bank)
    part = bank if bank.scope == "mixed" else bank.of_category(product)
    real = np.flatnonzero(part.rows.any(1))
    if not len(real):
        raise DataError(f"the bank has no row of {product}")
    return Target(part if len(real) == len(part) else part.take(real), least)


def look(target: Target, images: Sequence[np.ndarray], device: str = "cpu") -> Looked:
    """Compare the patches of some images, each (n, D) float32, with the rows of a bank.

    O(patches x rows x D') time, exact.
    """
    sizes = [len(patches) for patches in images]
    if not sizes:
        return joined([])
    patches = target.seen(np.concatenate(images))
    nearest = SEARCHES["torch"](target.rows, patches, device, lambda done: None)
    gaps = patches - target.rows[nearest]
    distance = np.linalg.norm(gaps, axis=1)
    ends = np.cumsum(sizes)
    statistics = [_statistics(far) for far in np.split(distance, ends[:-1])]
    hit = np.flatnonzero(
        _is_copy(patches[:, target.looks], gaps[:, target.looks], target.bank.dtype, target.least)
    )
    pairs = np.stack([np.searchsorted(ends, hit, side="right"), nearest[hit]], 1)
    pairs = np.unique(pairs, axis=0)
    return Looked(np.array(statistics, np.float32), pairs[:, 0], pairs[:, 1])


def joined(parts: Sequence[Looked]) -> Looked:
    """Of all images, in this order."""
    if not parts:
        nothing = np.empty(0, np.int64)
        return Looked(np.empty((0, len(STATISTICS)), np.float32), nothing, nothing)
    before = np.cumsum([0, *(len(part.statistics) for part in parts)])
    return Looked(
        np.concatenate([part.statistics for part in parts]),
        np.concatenate([part.image + at for part, at in zip(parts, before[:-1], strict=True)]),
        np.concatenate([part.row for part in parts]),
    )


def alike(rows: np.ndarray) -> np.ndarray:
    """(M,) int: for each of the rows (M, D) the number of the first one that is equal to it."""
    order = by_value(rows)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[order[1:]] != rows[order[:-1]]).any(1)
    found = np.empty(len(rows), np.int64)
    found[order] = order[np.flatnonzero(new)][new.cumsum() - 1]
    return found


def _statistics(far: np.ndarray) -> tuple[float, float, float]:
    if not len(far):  # no patch of the image counts
        return (np.nan,) * 3
    return float(far.min()), float(np.quantile(far, QUANTILE)), float(far.mean())


def _is_copy(patches: np.ndarray, gaps: np.ndarray, dtype: str, least: float = 0.0) -> np.ndarray:
    """(N,) bool: whether a patch (N, D') differs from a row by the wire's rounding at most."""
    largest = np.abs(patches).max(1, keepdims=True)
    of = np.maximum(largest, least) if dtype == CODED else np.abs(patches)
    allowed = ROUNDING.get(dtype, ROUNDING["float16"]) * of + NOISE * largest
    return np.asarray((np.abs(gaps) <= allowed).all(1))
