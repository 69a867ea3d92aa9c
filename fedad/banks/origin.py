"""Whose rows a bank has: the bank less some of them, and what a site's own rows know.

Nothing here knows a method. Judging reaches it only through a method that can trace or forget.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def with_everyone(bank: Bank, uploads: Sequence[Bank]) -> Bank:
    """A merged bank in which each upload has a row, as far as there are places.

    The first row of an upload that was left out takes the place of the last row of whoever has
    most, so that a site can tell a bank that its rows are in from one that was made without it.
    """
    counts = np.bincount(bank.site, minlength=len(bank.sites))
    for upload in uploads:
        number = bank.sites.index(upload.sites[0]) if len(upload.sites) == 1 else -1
        if number < 0 or counts[number] or counts.max() < 2:
            continue
        most = int(counts.argmax())
        last = int(np.flatnonzero(bank.site == most)[-1])
        category = bank.categories.index(upload.categories[int(upload.category[0])])
        bank = bank.replace(
            rows=_put(bank.rows, last, upload.rows[0]),
            site=_put(bank.site, last, number),
            row=_put(bank.row, last, upload.row[0]),
            category=_put(bank.category, last, category),
        )
        counts[most] -= 1
        counts[number] = 1
    return bank


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
    """The bank less the rows of one site; its other columns stay in their order."""
    return bank.take(np.flatnonzero(~of_site(bank, site)))


def without_image(bank: Bank, own: Bank, site: str, image: int) -> tuple[Bank, Bank]:
    """`bank` and `own`, less the rows that `site` took from its training image of that number.

    Args:
        own: the site's own bank, whose `source` says of which image each row is.
    """
    mine, is_of_image = of_site(bank, site), own.source // own.fingerprint.patches == image
    rest = own.take(np.flatnonzero(~is_of_image))
    of_image = is_of_image[np.argsort(own.row)]  # by rank, which is what the bank numbers rows by
    return bank.take(np.flatnonzero(~(mine & of_image[np.where(mine, bank.row, 0)]))), rest
