"""Features for a private release of images some of which cannot be embedded, or looked at.

Elsewhere such an image ends a site's training, in one line that names it. Under a private release
that refusal would tell of the image. So here it takes part with no patch at all: what it adds to a
sum is zero, which is within what one image may add, and whoever holds the release learns no more.
The site's own log says which image it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.config import Config
from fedad.errors import DataError
from fedad.types import Features, Sample, parts_shown

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed
    from fedad.embedders.in_parts import InParts


def lenient_features(config: Config, embed: Embed, samples: Sequence[Sample]) -> Features | InParts:
    """The features of `samples`, embedded one by one; of those that cannot be no patch is valid.

    Where features do not fit into memory these images are left out instead, so that a product needs
    one that can be embedded.

    Raises:
        ConfigError: see `within_memory`.
    """
    from fedad.embedders.backbone import grid_of
    from fedad.embedders.in_parts import within_memory

    usable = np.array([_is_usable(embed, sample) for sample in samples], bool)
    some = tuple(sample for sample, fine in zip(samples, usable, strict=True) if fine)
    found = within_memory(config, embed, some) if some else None
    if found is not None and not isinstance(found, Features):
        return found
    grid = np.zeros((len(samples), *grid_of(config.embedder)), np.float32)
    valid = np.zeros(grid.shape[:3], bool)
    if found is not None:
        grid[usable], valid[usable] = found.grid, True if found.valid is None else found.valid
    network: Any = embed
    return Features(
        grid=grid,
        categories=tuple(sample.category for sample in samples),
        images=tuple(sample.name for sample in samples),
        fingerprint=network.fingerprint if found is None else found.fingerprint,
        valid=valid,
        shown=parts_shown(samples),
    )


def with_stand_ins(features: Features) -> Features:
    """The same with one patch of zeros of each product of which no patch is valid, so that a site
    has something of its own to fit. It is no part of a release."""
    if features.valid is None:
        return features
    valid = features.valid.copy()
    for product in {*features.categories}:
        images = [k for k, name in enumerate(features.categories) if name == product]
        if not valid[images].any():
            valid[images[0], 0, 0] = True
    return replace(features, valid=valid)


def _is_usable(embed: Embed, sample: Sample) -> bool:
    """Whether an image has features, all finite, and a patch that is looked at."""
    try:
        found = embed([sample])
    except DataError:
        return False
    seen = found.valid is None or bool(found.valid.any())
    return seen and bool(np.isfinite(found.grid).all())
