"""What a bank has of one site alone, and of a random half of that site's training images."""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank
from fedad.banks.origin import image_of_rows, of_site


def part_of(
    bank: Bank, own: Bank, site: str, rng: np.random.Generator | None = None
) -> tuple[Bank, Bank]:
    """`bank` and `own`, less the rows of other sites; with `rng`, also less those of a random half
    of the site's training images of each category.

    Args:
        own: the site's own bank, whose `source` says of which image each row is; no row of one
            without it is of a half.
    """
    mine = bank.take(np.flatnonzero(of_site(bank, site)))
    if rng is None:
        return mine, own
    if len(own.source) < len(own):  # a bank that was merged or sent: nobody knows of what images
        return mine.take(np.arange(0)), own
    kept = np.sort(np.concatenate([_half(images, rng) for images in _images(own)]))
    return (
        mine.take(np.flatnonzero(np.isin(image_of_rows(mine, own, site), kept))),
        own.take(np.flatnonzero(np.isin(own.image, kept))),
    )


def _images(own: Bank) -> list[np.ndarray]:
    """The numbers of the training images that have rows, category by category."""
    return [np.unique(own.image[own.category == k]) for k in range(len(own.categories))]


def _half(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(images)[: (len(images) + 1) // 2]
