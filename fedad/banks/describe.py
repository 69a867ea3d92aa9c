"""What a record says of a bank."""

from __future__ import annotations

from typing import Any

import numpy as np

from fedad.banks.bank import Bank


def describe_bank(bank: Bank) -> dict[str, Any]:
    """How many rows a bank has, of which site and category, and how many images they stand for."""
    rows = np.zeros(bank.images.shape, np.int64)
    np.add.at(rows, (bank.site, bank.category), 1)
    return {
        "rows": len(bank),
        "features": bank.rows.shape[1],
        "dtype": bank.dtype,
        "patches": int(bank.patches.sum()),
        "rows_by_site": _table(bank, rows),
        "images_by_site": _table(bank, bank.images),
    }


def _table(bank: Bank, table: np.ndarray) -> dict[str, dict[str, int]]:
    return {
        site: {
            category: int(table[s, c]) for c, category in enumerate(bank.categories) if table[s, c]
        }
        for s, site in enumerate(bank.sites)
    }
