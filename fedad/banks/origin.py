"""Whose rows a bank has: the bank less some of them, and what a site's own rows know.

Nothing here knows a method. Judging reaches it only through a method that can trace or forget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fedad.banks.bank import Bank


def knows(bank: Bank, category: str) -> bool:
    """Whether the bank has a row that an image of this category is compared with."""
    if bank.scope == "mixed":
        return len(bank) > 0
    if category not in bank.categories:
        return False
    return bool(np.any(bank.category == bank.categories.index(category)))


def of_site(bank: Bank, site: str) -> np.ndarray:
    """(M,) bool: which rows the site gave."""
    if site not in bank.sites:
        return np.zeros(len(bank), np.bool_)
    return bank.site == bank.sites.index(site)


def pairs(banks: Sequence[Bank]) -> int:
    """How many pairs of a site and a product have rows in banks that have no pair in common."""
    return sum(
        len(np.unique(bank.site.astype(np.int64) * len(bank.categories) + bank.category))
        for bank in banks
    )


def with_everyone(bank: Bank, uploads: Sequence[Bank]) -> Bank:
    """A merged bank in which each product of each upload has a row, as far as there are places.

    The first row of a product that was left out takes the place of the last row of whichever has
    most, so that a site can tell a bank that its rows are in from one that was made without it.
    """
    width = len(bank.categories)
    whose = bank.site * width + bank.category  # a number for each pair of a site and a product
    counts = np.bincount(whose, minlength=len(bank.sites) * width)
    for upload, product in _products(uploads):
        number = bank.sites.index(upload.sites[0]) * width
        number += (category := bank.categories.index(upload.categories[product]))
        if counts[number] or counts.max() < 2:
            continue
        most, first = int(counts.argmax()), int(np.flatnonzero(upload.category == product)[0])
        last = int(np.flatnonzero(whose == most)[-1])
        bank = bank.replace(
            rows=_put(bank.rows, last, upload.rows[first]),
            site=_put(bank.site, last, number // width),
            row=_put(bank.row, last, upload.row[first]),
            category=_put(bank.category, last, category),
        )
        whose[last] = number
        counts[most] -= 1
        counts[number] = 1
    return bank


def _products(uploads: Sequence[Bank]) -> Iterator[tuple[Bank, int]]:
    """The uploads of one site, with each of their products that they have a row of."""
    for upload in uploads:
        if len(upload.sites) == 1:
            yield from ((upload, product) for product in np.unique(upload.category).tolist())


def _put(values: np.ndarray, at: int, value: object) -> np.ndarray:
    changed = values.copy()
    changed[at] = value
    return changed


def lacking(bank: Bank, own: Bank, site: str) -> list[str]:
    """The products of which a site gave rows, its `own`, and the bank has none of them."""
    there = set(bank.category[of_site(bank, site)].tolist())
    kept = {bank.categories[k] for k in there}
    given = {own.categories[k] for k in np.unique(own.category).tolist()}
    if bank.scope == "mixed":  # rows of all products compete for one place
        return sorted(given) if given and not kept else []
    return sorted(given - kept)


def without_site(bank: Bank, site: str) -> Bank:
    """The bank less the rows of one site and what they stood for, its sums too; its other columns
    stay in their order."""
    kept = bank.take(np.flatnonzero(~of_site(bank, site)))
    others = np.array([[name != site] for name in bank.sites])
    return kept.replace(**{name: getattr(bank, name) * others for name in bank.tables})


def image_of_rows(bank: Bank, own: Bank, site: str) -> np.ndarray:
    """(M,) int: of which training image of `site` each row of the bank is; -1 of another site's,
    and of a row that a release has changed, which is of no image.

    Args:
        own: the site's own bank, whose `source` says of which image each row is.
    """
    if bank.fingerprint.projection:
        return np.full(len(bank), -1, np.int64)
    mine = of_site(bank, site)
    ranks = bank.row[mine]  # by which the bank numbers a site's rows
    by_rank = np.full(1 + max(own.row.max(initial=-1), ranks.max(initial=-1)), -1, np.int64)
    by_rank[own.row] = own.image  # of a part of `own`, not all ranks
    image = np.full(len(bank), -1, np.int64)
    image[mine] = by_rank[ranks]
    return image


def without_images(bank: Bank, own: Bank, site: str, images: Sequence[int]) -> tuple[Bank, Bank]:
    """`bank` and `own`, less the rows of the training images of these numbers at `site`."""
    kept = ~np.isin(image_of_rows(bank, own, site), images)
    return bank.take(np.flatnonzero(kept)), own.take(np.flatnonzero(~np.isin(own.image, images)))
