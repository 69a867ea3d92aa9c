"""The score of each training image of a site by a bank without the rows that were taken from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.origin import image_of_rows
from fedad.search.left_out import LeftOut
from fedad.types import Features


class WithoutImages:
    """What plain search says of an image by `origin.without_images`, and no bank is copied for it.

    Args:
        own: the site's own bank, whose `source` says of which image each row is.
    """

    def __init__(self, bank: Bank, own: Bank, site: str, device: str) -> None:
        self.bank, self.device = bank, device
        self.image = image_of_rows(bank, own, site)
        self.part = cache(self._part)

    def score(self, features: Features, images: Sequence[int]) -> float | None:
        """The score of the one image in `features`, a training image, by a bank without the rows
        of the training images of these numbers.

        None where plain search has to be asked, or where no row is left.
        """
        category = "" if self.bank.scope == "mixed" else features.categories[0]
        if category and category not in self.bank.categories:
            return None
        rows, known = self.part(category)
        out = np.flatnonzero(np.isin(self.image[rows], images))
        if known is None or len(out) == len(rows):
            return None
        valid = None if features.valid is None else features.valid.ravel()
        found = known.largest(features.patches, out, valid)
        return None if found is None else float(found)

    def _part(self, category: str) -> tuple[np.ndarray, LeftOut | None]:
        """The numbers of the rows of a category, or of all (empty), and what they are."""
        rows = np.arange(len(self.bank))
        if category:
            rows = np.flatnonzero(self.bank.category == self.bank.categories.index(category))
        table = self.bank.rows if len(rows) == len(self.bank) else self.bank.rows[rows]
        return rows, LeftOut(table, self.device) if len(rows) else None
