"""The place in a site's own images that is most like a patch: by the nearest of its own rows."""

from __future__ import annotations

import numpy as np

from fedad.banks.bank import Bank
from fedad.descriptors.apply import described_features
from fedad.descriptors.settings import table_of
from fedad.types import Features


def most_alike(
    model: Bank, own: Bank, features: Features, patch: tuple[int, int]
) -> tuple[int, int] | None:
    """The number of a training image and of the patch in it; see `base.Locating`.

    Args:
        own: the site's own bank, whose `source` says of which patch each row is.
        features: of one image.
    """
    (category,) = features.categories
    if category not in own.categories or len(own.source) != len(own):
        return None
    mine = own.of_category(category)
    point = described_features(features, table_of(model.fingerprint)).grid[0][patch]
    if not len(mine) or mine.rows.shape[1] != len(point):
        return None
    row = int(np.linalg.norm(mine.rows - point, axis=1).argmin())
    per_image = mine.fingerprint.patches
    return int(mine.source[row]) // per_image, int(mine.source[row]) % per_image
