"""Features -> described features: of images in memory, and of patches that come in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fedad.descriptors.position import COLUMNS, joined, places
from fedad.descriptors.settings import Settings, Table, joins, settings_of
from fedad.descriptors.standardise import Sums, standardised, sums_of
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


def described_features(features: Features, table: Table) -> Features:
    """The features as a bank of `table` has them; they themselves where it says nothing.

    Patches that are not valid are described too, and count for nothing in an image's measure.
    """
    if not table:
        return features
    h, w, size = features.shape
    wide, where = joins(table), places(h, w)
    grid = np.empty((len(features.grid), h, w, size + COLUMNS * wide), np.float32)
    for number, product in enumerate(features.categories):
        settings = settings_of(table, product)
        patches = features.grid[number].reshape(h * w, size)
        if settings.standardise:
            valid = slice(None) if features.valid is None else features.valid[number].ravel()
            patches = standardised(patches, sums_of(patches[valid]), settings.standardise)
        found = _joined(patches, where, settings) if wide else patches
        grid[number] = found.reshape(h, w, -1)
    return replace(features, grid=grid)


def described_parts(
    features: Features | InParts,
    category: str | None,
    numbers: np.ndarray,
    settings: Settings,
    *,
    wide: bool,
) -> Iterator[np.ndarray]:
    """As `features.parts(category)`, (n_i, D) or (n_i, D + 2) described patches.

    Args:
        numbers: which of all images' patches they are, in their order.
        wide: whether positions are joined, perhaps with no weight.
    """
    h, w, _ = features.shape
    where = places(h, w)
    images: dict[int, Sums] = {}
    if settings.standardise:
        for image, patches in _by_image(features.parts(category), numbers, h * w):
            known, more = images.get(image), sums_of(patches)
            images[image] = more if known is None else known.plus(more)
    seen = 0
    for part in features.parts(category):
        here = numbers[seen : seen + len(part)]
        seen += len(part)
        if not len(part):  # of an image of which nothing is valid
            continue
        found = part
        if settings.standardise:
            found = np.concatenate(
                [
                    standardised(patches, images[image], settings.standardise)
                    for image, patches in _by_image([part], here, h * w)
                ]
            )
        yield _joined(found, where[here % (h * w)], settings) if wide else found


def _joined(patches: np.ndarray, where: np.ndarray, settings: Settings) -> np.ndarray:
    return joined(patches, where, settings.position * settings.scale)


def _by_image(
    parts: Iterable[np.ndarray], numbers: np.ndarray, per_image: int
) -> Iterator[tuple[int, np.ndarray]]:
    """The patches of one image after the other, (n, D); an image may come in several pieces."""
    seen = 0
    for part in parts:
        image = numbers[seen : seen + len(part)] // per_image
        seen += len(part)
        if not len(part):
            continue
        ends = np.flatnonzero(np.diff(image)) + 1
        for piece, number in zip(
            np.split(part, ends), image[np.concatenate([[0], ends])].tolist(), strict=True
        ):
            yield number, piece
