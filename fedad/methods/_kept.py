"""What a site keeps of its patches: farthest first, described as a fingerprint says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedad.banks.capacity import kept_rows
from fedad.config import Config
from fedad.coresets.base import Coreset
from fedad.descriptors.apply import described_parts
from fedad.descriptors.settings import ALL, joins, settings_of, table_of
from fedad.errors import DataError
from fedad.types import Features, Fingerprint

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
    mark: Fingerprint,
    *,
    config: Config,
    select: Coreset,
    rng: np.random.Generator,
    device: str,
) -> Cover:
    """What is kept of a category (None: of all), whose valid patches have these numbers, described
    as `mark` says."""
    from fedad.banks.coreset_in_parts import Cover, cover_in_parts

    size = kept_rows(config, len(patches))
    parts = features.parts(category)
    if table := table_of(mark):
        settings, wide = settings_of(table, category or ALL), joins(table)
        parts = described_parts(features, category, patches, settings, wide=wide)
    if isinstance(features, Features):
        (points,) = parts
        rows = select(points, size, rng=rng, device=device)
        return Cover(points[rows], patches[rows], math.nan)
    found = cover_in_parts(
        parts, size, len(patches), rng=rng, memory=features.memory, device=device
    )
    return found._replace(numbers=patches[found.numbers])
