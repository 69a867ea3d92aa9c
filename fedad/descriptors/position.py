"""Where a patch is in its image, joined to what it looks like.

A row of another place is then farther, the more so the larger the weight: what is normal here is
not normal there. Positions of parts that lie in any pose say nothing.
"""

from __future__ import annotations

import numpy as np

COLUMNS = 2  # that are joined: x and y
LOOKED_IMAGES, LOOKED = 8, 256  # of a site's images of a product, and of the patches of each, so
# many at most are looked at for whether they find their own place
NEAR = 0.25  # of half an image's sides: as far as a patch may be from its own place
PLACED = 0.3  # of patches that find their own place; in an image drawn at random a twentieth would


def places(h: int, w: int) -> np.ndarray:
    """(h w, 2) float32: x and y of each patch, -1 at the left and upper edge, 1 at the others."""
    y, x = np.meshgrid(_along(h), _along(w), indexing="ij")
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.float32)


def near_own_place(found: np.ndarray, own: np.ndarray) -> int:
    """How many of the places (n, 2) are near their own (n, 2)."""
    return int((np.abs(found - own) <= NEAR).all(axis=1).sum())


def joined(patches: np.ndarray, where: np.ndarray, reach: float) -> np.ndarray:
    """(n, D + 2) float32: patches (n, D) with their places (n, 2) times `reach`, in feature
    units."""
    return np.concatenate([patches, where * np.float32(reach)], axis=1, dtype=np.float32)


def _along(count: int) -> np.ndarray:
    return np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
