"""Whose rows a bank has: the bank less some of them, and what a site's own rows know.

Nothing here knows a method. Judging reaches it only through a method that can trace or forget.
"""

from __future__ import annotations

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


def without_site(bank: Bank, site: str) -> Bank:
    """The bank less the rows of one site; its other columns stay in their order."""
    return bank.take(np.flatnonzero(~of_site(bank, site)))


def without_image(bank: Bank, own: Bank, site: str, image: int) -> tuple[Bank, Bank]:
    """`bank` and `own`, less the rows that `site` took from its training image of that number.

    Args:
        own: the site's own bank, whose `source` says of which image each row is.
    """
    of_image = own.source // own.fingerprint.patches == image
    rest = own.take(np.flatnonzero(~of_image))
    mine = of_site(bank, site)
    return bank.take(np.flatnonzero(~(mine & of_image[np.where(mine, bank.row, 0)]))), rest
