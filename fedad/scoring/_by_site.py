"""A bank taken apart by whose rows it has, and distances to the parts brought together again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fedad.banks.bank import Bank
from fedad.search.base import Nearest


def others_of(bank: Bank, own: Bank | None) -> list[np.ndarray]:
    """The row numbers of each site in the bank that has rows, but for the site itself."""
    mine = set(own.sites) if own is not None else set()
    order = np.argsort(bank.site, kind="stable")
    ends = np.cumsum(np.bincount(bank.site, minlength=len(bank.sites)))
    of_each = zip(bank.sites, np.split(order, ends[:-1]), strict=True)
    return [rows for name, rows in of_each if len(rows) and name not in mine]


def bank_of_rows(bank: Bank, rows: np.ndarray) -> Bank:
    """A bank of these rows (M, D), whoever's they are."""
    column = np.zeros(len(rows), np.int32)
    return bank.replace(rows=rows, category=column, site=column, row=column)


def qth(found: Iterable[Nearest], q: int, patches: int) -> Nearest:
    """Of each patch the q-th smallest distance; of equal ones the first counts as smaller.

    Memory is q + 1 distances a patch, however many sites there are.
    """
    distance, row = np.full((q, patches), np.inf, np.float32), np.zeros((q, patches), np.int64)
    for one in found:
        distance = np.concatenate([distance, one.distance[None]])
        row = np.concatenate([row, one.row[None]])
        order = np.argsort(distance, axis=0, kind="stable")[:q]
        distance = np.take_along_axis(distance, order, 0)
        row = np.take_along_axis(row, order, 0)
    return Nearest(distance[-1], row[-1])


def least(found: Iterable[Nearest], factors: Iterable[float], patches: int) -> Nearest:
    """Of each patch the smallest distance, each part's times its factor."""
    scaled = (
        Nearest((one.distance * np.float32(factor)).astype(np.float32), one.row)
        for one, factor in zip(found, factors, strict=True)
    )
    return qth(scaled, 1, patches)
