"""What a site keeps of its patches: farthest first, described as a fingerprint says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from fedad.banks.capacity import kept_rows
from fedad.config import Config
from fedad.coresets.base import Coreset
from fedad.descriptors.apply import described_parts
from fedad.descriptors.settings import ALL, Table, joins, settings_of
from fedad.errors import DataError
from fedad.types import Features

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server may only merge
    from fedad.banks.coreset_in_parts import Cover
    from fedad.embedders.in_parts import InParts


def valid_patches(features: Features | InParts) -> np.ndarray:
    """The numbers of the valid patches, among those of all images' patches."""
    if features.valid is None:
        return np.arange(len(features.categories) * features.patches_per_image)
    return np.flatnonzero(features.valid)


def check_seen(patches: np.ndarray, categories: Sequence[str]) -> None:
    """Refuse a product of whose images nothing is looked at.

    Args:
        patches: (C,) int: how many of each product's patches are valid.
    """
    if unseen := [name for name, count in zip(categories, patches, strict=True) if not count]:
        raise DataError(f"{unseen[0]}: no patch of its good images is in the region of interest")


def cover_of(
    features: Features | InParts,
    category: str | None,
    patches: np.ndarray,
    table: Table,
    *,
    config: Config,
    select: Coreset,
    rng: np.random.Generator,
    device: str,
) -> Cover:
    """What is kept of a category (None: of all), whose valid patches have these numbers, described
    as `table` says."""
    from fedad.banks.coreset_in_parts import Cover, cover_in_parts

    size = kept_rows(config, len(patches))
    parts, numbers = _candidates(features, category, patches, table)
    if isinstance(features, Features):
        found = [*parts]
        points = found[0] if len(found) == 1 else np.concatenate(found)
        rows = select(points, size, rng=rng, device=device)
        return Cover(points[rows], numbers[rows], math.nan)
    cover = cover_in_parts(
        parts, size, len(numbers), rng=rng, memory=features.memory, device=device
    )
    return cover._replace(numbers=numbers[cover.numbers])


def _candidates(
    features: Features | InParts, category: str | None, patches: np.ndarray, table: Table
) -> tuple[Iterable[np.ndarray], np.ndarray]:
    """The described patches among which rows are selected, in parts (n_i, D), and the numbers of
    the patches that they are, or that they show where they come of a turned copy."""
    parts = _described(features, category, patches, table)
    if (turned := features.turned) is None:
        return parts, patches
    more, of_image = valid_patches(turned.features), np.array(turned.features.categories)
    if category is not None:
        more = more[of_image[more // features.patches_per_image] == category]
    both = chain(parts, _described(turned.features, category, more, table))
    return both, np.concatenate([patches, turned.source[more]])


def _described(
    features: Features | InParts, category: str | None, patches: np.ndarray, table: Table
) -> Iterable[np.ndarray]:
    """As `features.parts`, of patches that have these numbers."""
    if not table:
        return features.parts(category)
    settings, wide = settings_of(table, category or ALL), joins(table)
    return described_parts(features, category, patches, settings, wide=wide)
