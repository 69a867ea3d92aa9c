"""Rows of further pictures of a site, put after those that a bank and the site have already.

They are numbered as the site's next training images, so that whatever judges, leaves out or finds
the most alike place goes on as it is: nothing else has to know of them. Rows of other products keep
their place and their sums, and what is said of these products stays the same to the last bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fedad.banks.bank import SUMS, TABLES, Bank
from fedad.banks.coded import CodedBank
from fedad.banks.measured import measured
from fedad.banks.origin import of_site
from fedad.coresets.base import Coreset
from fedad.descriptors.apply import described_features
from fedad.descriptors.position import COLUMNS, joined, places
from fedad.descriptors.settings import joins, table_of
from fedad.types import Features


def plain_bank(model: Any) -> Bank | None:
    """The bank that judges: of coded rows the decoded ones; None where it is no bank."""
    if isinstance(model, CodedBank):
        return model.bank
    return model if type(model) is Bank else None


def plain_own(own: Any) -> Bank | None:
    """A site's own rows as it judges by them."""
    if isinstance(own, CodedBank):
        return own.exact
    return own if type(own) is Bank else None


def following(more: Bank, bank: Bank, own: Bank | None, images: int) -> Bank:
    """`more` with its rows ranked, and its images numbered, after those of the same site.

    Args:
        more: of one site, with the source of its rows.
        images: how many training images the site has already.
    """
    (site,) = more.sites
    ranks = [bank.row[of_site(bank, site)].max(initial=-1)]
    if own is not None:
        ranks.append(own.row.max(initial=-1))
    first = 1 + int(max(ranks))
    return more.replace(
        row=(more.row + first).astype(np.int32),
        source=more.source + images * more.fingerprint.patches,
    )


def appended(bank: Bank, more: Bank, *, counted: bool) -> Bank:
    """`bank` with the rows of `more` after its own, which has as many features.

    Args:
        counted: whether what `more` stands for is added to the tables; else the measures of all
            products stay as they are.
    """
    categories = tuple(sorted({*bank.categories, *more.categories}))
    sites = tuple(sorted({*bank.sites, *more.sites}))
    tables = {}
    for name in bank.tables:
        table = np.zeros((len(sites), len(categories)), getattr(bank, name).dtype)
        for one in (bank, more) if counted else (bank,):
            if name in one.tables:
                table[np.ix_(_at(one.sites, sites), _at(one.categories, categories))] += getattr(
                    one, name
                )
        tables[name] = table
    known = len(bank.source) == len(bank) and len(more.source) == len(more)
    return bank.replace(
        rows=np.concatenate([bank.rows, more.rows]),
        category=np.concatenate(
            [_at(one.categories, categories)[one.category] for one in (bank, more)]
        ),
        site=np.concatenate([_at(one.sites, sites)[one.site] for one in (bank, more)]),
        row=np.concatenate([bank.row, more.row]),
        categories=categories,
        sites=sites,
        **tables,
        source=np.concatenate([bank.source, more.source]) if known else np.empty(0, np.int64),
        radius=math.nan,
    )


def beside(
    bank: Bank, own: Bank | None, more: Bank | None, images: int
) -> tuple[Bank, Bank | None]:
    """What judges where `more` is scored beside a bank and the site's own rows; see `appended`.

    Args:
        images: how many training images the site's own rows are of.
    """
    if more is None or not len(more):
        return bank, own
    next_ = following(more, bank, own, images)
    return (
        appended(bank, next_, counted=False),
        None if own is None else appended(own, next_, counted=False),
    )


def rows_of(
    features: Features,
    site: str,
    bank: Bank,
    own: Bank | None,
    *,
    most: int,
    select: Coreset,
    rng: np.random.Generator,
) -> Bank:
    """Up to `most` rows of the one picture in `features`: those that the bank and the site's own
    rows know least, the farthest first.

    Returns:
        a bank of one site and product that stands for one image, with the source of its rows.
    """
    (product,) = features.categories
    bank_, mine = measured(bank), None if own is None else measured(own, bank)
    known = [bank_.of_category(product).rows]
    if mine is not None and product in mine.categories:
        known.append(mine.of_category(product).rows)
    points = described_features(features, table_of(bank_.fingerprint)).patches
    valid = np.arange(len(points))
    if features.valid is not None:
        valid = np.flatnonzero(features.valid)
    there = np.concatenate(known)
    every = np.concatenate([there, points[valid]])
    count = len(there) + min(most, len(valid))
    kept = range(len(there))
    chosen = select(every, count, rng=rng, kept=kept)[len(there) :] - len(there)
    source = valid[chosen]
    h, w, size = features.shape
    # Without a place, which travels from -1 to 1 and is measured as the bank's own are.
    rows = points[source][:, :size]
    if joins(table_of(bank.fingerprint)):
        rows = joined(rows, places(h, w)[source], 1.0)
    return Bank(
        rows=np.ascontiguousarray(rows, np.float32),
        category=np.zeros(len(source), np.int32),
        site=np.zeros(len(source), np.int32),
        row=np.arange(len(source), dtype=np.int32),
        categories=(product,),
        sites=(site,),
        images=np.ones((1, 1), np.int64),
        patches=np.array([[len(valid)]], np.int64),
        fingerprint=bank.fingerprint,
        **no_sums(bank),
        source=source.astype(np.int64),
    )


def no_sums(bank: Bank) -> dict[str, Any]:
    """Sums of one site and product that add nothing, where a bank has sums."""
    if not bank.squares.size:
        return {}
    return {name: np.zeros((1, 1), getattr(bank, name).dtype) for name in SUMS}


def with_places(more: Bank, bank: Bank, grid: tuple[int, int]) -> Bank:
    """`more`, described as all of the products that `bank` says nothing of, with as many features
    as the rows of `bank`: places that count nothing, where only these have some.

    Args:
        more: of one site, with the source of its rows.
        grid: (h, w) of an image's patches.
    """
    if more.rows.shape[1] + COLUMNS == bank.rows.shape[1] and not joins(table_of(more.fingerprint)):
        where = places(*grid)[more.source % more.fingerprint.patches]
        more = more.replace(rows=joined(more.rows, where, 1.0))
    if bank.squares.size and not more.squares.size:
        shape = getattr(more, TABLES[0]).shape
        more = more.replace(**{n: np.zeros(shape, getattr(bank, n).dtype) for n in SUMS})
    return more.replace(fingerprint=bank.fingerprint)


def _at(names: tuple[str, ...], among: tuple[str, ...]) -> np.ndarray:
    """(N,) int32: the number of each name among others."""
    return np.array([among.index(name) for name in names], np.int32)
