"""What a record says of a bank."""

from __future__ import annotations

from typing import Any

import numpy as np

from fedad.banks.bank import Bank

NOT_TOLD = "not told"


def describe_bank(bank: Bank) -> dict[str, Any]:
    """How many rows a bank has, of which site and category, and how many images they stand for;
    what a private release does not tell is named instead of the 1 that stands in its place."""
    rows = np.zeros(bank.images.shape, np.int64)
    np.add.at(rows, (bank.site, bank.category), 1)
    return {
        "rows": len(bank),
        "features": bank.rows.shape[1],
        "dtype": bank.dtype,
        "rows_by_site": _table(bank, rows),
        **(_untold(bank) if bank.fingerprint.projection else _told(bank)),
    }


def _told(bank: Bank) -> dict[str, Any]:
    """What the rows were chosen from."""
    return {"patches": int(bank.patches.sum()), "images_by_site": _table(bank, bank.images)}


def _untold(bank: Bank) -> dict[str, Any]:
    """The same of a private release, whose numbers of images and patches are none of the site's."""
    return {"patches": NOT_TOLD, "images_by_site": dict.fromkeys(bank.sites, NOT_TOLD)}


def _table(bank: Bank, table: np.ndarray) -> dict[str, dict[str, int]]:
    return {
        site: {
            category: int(table[s, c]) for c, category in enumerate(bank.categories) if table[s, c]
        }
        for s, site in enumerate(bank.sites)
    }
