"""A memory bank: patch features that stand for what is normal, and where each came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np

from fedad.errors import MismatchError, UploadError
from fedad.messages.payload import Payload, check_alike
from fedad.messages.schema import COUNTS, DOUBLES, FLOATS, Array, Dtype, Names, Number
from fedad.types import Fingerprint

MOST_ROWS = 2**31 - 1  # what a row's number in its upload can be
SQUARES = 1e18  # the largest sum of squared distances that is read
TABLES = ("images", "patches")
SUMS = ("squares", "placed", "looked")
_COUNT = ("int64",)
Squares = Annotated[np.ndarray, Array("S C", DOUBLES, least=0, most=SQUARES, optional=True)]
Places = Annotated[np.ndarray, Array("S C", _COUNT, least=0, most=COUNTS, optional=True)]


def no_squares() -> np.ndarray:
    """(0, 0) float64: of a bank whose rows have no places."""
    return np.empty((0, 0))


def no_places() -> np.ndarray:
    """(0, 0) int64: the same."""
    return np.empty((0, 0), np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Bank(Payload):
    """M rows of D features, and where each of them came from.

    `row` is a row's rank in its site's selection, farthest first, so that the lowest ranks are a
    smaller coreset. An upload is sorted by value: its bytes are a function of the set of its rows,
    and tell nothing of where in which image a row was, unless positions are among its features.
    `images` and `patches` say what the rows stand for: how many good images and patches each of S
    sites had of each of C categories.

    Rows that end with x and y, from -1 to 1, come with sums that say what these count in; see
    `measured.py`. `squares` is the sum of squared distances of a site's patches of a category to
    their mean, and `placed` are patches that found their own place of those that were `looked` at.
    All three are there or none is.

    `source` and `radius` never leave a site: of which patch of its images each row is, and within
    what distance of a row every patch lies, where rows were selected in parts.
    """

    rows: Annotated[np.ndarray, Array("M D", FLOATS)]
    category: Annotated[np.ndarray, Array("M", ("int32",), into="categories")]
    site: Annotated[np.ndarray, Array("M", ("int32",), into="sites")]
    row: Annotated[np.ndarray, Array("M", ("int32",), least=0, most=MOST_ROWS)]  # its rank
    categories: Annotated[tuple[str, ...], Names("C")]
    sites: Annotated[tuple[str, ...], Names("S")]
    images: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=COUNTS)]
    patches: Annotated[np.ndarray, Array("S C", ("int64",), least=0, most=COUNTS)]
    fingerprint: Fingerprint
    dtype: Dtype = "float32"  # what the rows were rounded to when sealed
    scope: Literal["category", "mixed"] = "category"  # whose rows a patch is compared with
    squares: Squares = field(default_factory=no_squares)
    placed: Places = field(default_factory=no_places)
    looked: Places = field(default_factory=no_places)
    source: Annotated[np.ndarray, Array("M", ("int64",), least=0, most=COUNTS, stays=True)] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )
    radius: Annotated[float, Number(least=0, stays=True)] = math.nan

    def __post_init__(self) -> None:
        m, table = len(self.rows), (len(self.sites), len(self.categories))
        if self.rows.ndim != 2 or self.rows.dtype != np.float32:
            raise ValueError(
                f"a bank's rows are (M, D) float32, got {self.rows.shape} {self.rows.dtype}"
            )
        if not len(self.category) == len(self.site) == len(self.row) == m:
            raise ValueError(f"{m} rows need as many categories, sites and row numbers")
        if len({getattr(self, name).size > 0 for name in SUMS}) > 1:
            raise UploadError(f"a bank with some of {', '.join(SUMS)} alone", "fields")
        if wrong := [name for name in self.tables if getattr(self, name).shape != table]:
            raise ValueError(
                f"{table[0]} sites and {table[1]} categories need tables of that shape, "
                f"got {wrong[0]} of {getattr(self, wrong[0]).shape}"
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables (S, C) that it has."""
        return (*TABLES, *(SUMS if self.squares.size else ()))

    @property
    def image(self) -> np.ndarray:
        """(M,) int: of which of the site's training images each row of its own bank is."""
        return self.source // self.fingerprint.patches

    def check(self) -> None:
        """Refuse a bank without a row, or with categories in another order than their names'."""
        if not len(self.rows) or not self.rows.shape[1]:
            raise UploadError(f"a bank of {len(self)} rows of {self.rows.shape[1]}", "shape")
        if self.categories != tuple(sorted(self.categories)):
            raise UploadError("a bank whose categories are not in order", "names")

    def stands_for(self) -> set[tuple[str, str]]:
        """The (site, category) pairs that it has images of."""
        return {
            (self.sites[s], self.categories[c])
            for s, c in np.argwhere((self.images > 0) | (self.patches > 0)).tolist()
        }

    def sealed(self, site: str, dtype: str) -> Bank:
        """As `Payload.sealed`, and sorted by value."""
        closed = super().sealed(site, dtype)
        by_rank = np.argsort(closed.row, kind="stable")
        order = by_rank[by_value(closed.rows[by_rank])]
        return closed.take(order[np.argsort(closed.category[order], kind="stable")])

    def with_own(self, sealed: Bank) -> Bank:
        """`sealed`, and of which patch each of its rows is."""
        source = self.source[np.argsort(self.row)[sealed.row]] if len(self.source) else self.source
        return sealed.replace(source=source, radius=self.radius)

    def in_selection_order(self) -> Bank:
        """The rows of one site's upload by rank; any other bank, or one in that order, itself."""
        ranks = np.arange(len(self))
        if len(self.sites) > 1 or np.array_equal(self.row, ranks):
            return self
        order = np.argsort(self.row, kind="stable")
        return self.take(order) if np.array_equal(self.row[order], ranks) else self

    def take(self, rows: np.ndarray) -> Bank:
        """The bank of these rows, in this order; what it stands for stays the same."""
        return self.replace(
            rows=np.ascontiguousarray(self.rows[rows]),
            category=self.category[rows],
            site=self.site[rows],
            row=self.row[rows],
            source=self.source[rows] if len(self.source) else self.source,
        )

    def of_category(self, category: str) -> Bank:
        """The rows of one category, and of all that the bank stands for only that category."""
        number = self.categories.index(category)
        rows = np.flatnonzero(self.category == number)
        part = self if len(rows) == len(self) else self.take(rows)  # a copy only if it is needed
        return part.replace(
            category=np.zeros(len(rows), np.int32),
            categories=(category,),
            **{name: getattr(self, name)[:, [number]] for name in self.tables},
        )


def by_value(rows: np.ndarray) -> np.ndarray:
    """(M,) int: the order of `rows` (M, D) by their bytes; equal rows stay as they are."""
    plain = np.ascontiguousarray(rows + 0.0)  # -0.0 is 0.0
    keys = plain.view(np.dtype((np.void, plain.itemsize * plain.shape[1])))
    return np.argsort(keys.ravel(), kind="stable")


def join(banks: Sequence[Bank]) -> Bank:
    """One bank with the rows of all `banks`, in that order, and all that they stand for.

    Joining is associative.

    Raises:
        MismatchError: banks that do not mix, or two of one site and category; see `check_alike`.
    """
    check_alike(banks)
    sites = _numbers(name for bank in banks for name in bank.sites)
    categories = _numbers(name for bank in banks for name in bank.categories)
    names, shape = banks[0].tables, (len(sites), len(categories))
    tables = {name: np.zeros(shape, getattr(banks[0], name).dtype) for name in names}
    category, site = [], []
    for bank in banks:
        at_site = np.array([sites[name] for name in bank.sites], np.int32)
        at_category = np.array([categories[name] for name in bank.categories], np.int32)
        cells = np.ix_(at_site, at_category)
        if bank.tables != names:
            raise MismatchError(
                f"banks of {banks[0].sites[0]} and {bank.sites[0]} do not mix: one of them alone "
                f"has {', '.join(SUMS)}"
            )
        for name, table in tables.items():
            table[cells] += getattr(bank, name)
        category.append(at_category[bank.category])
        site.append(at_site[bank.site])
    return banks[0].replace(
        rows=np.concatenate([bank.rows for bank in banks]),
        category=np.concatenate(category),
        site=np.concatenate(site),
        row=np.concatenate([bank.row for bank in banks]),
        categories=tuple(categories),
        sites=tuple(sites),
        **tables,
        source=np.empty(0, np.int64),
        radius=math.nan,
    )


def _numbers(names: Iterable[str]) -> dict[str, int]:
    """Each name's number in the order of all names."""
    return {name: number for number, name in enumerate(sorted(set(names)))}
