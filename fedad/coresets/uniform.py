"""Rows drawn at random: the yardstick for any coreset that claims to choose well."""

from collections.abc import Sequence

import numpy as np

from fedad.coresets.base import check

__all__ = ["uniform"]


def uniform(
    points: np.ndarray,
    size: int,
    *,
    rng: np.random.Generator,
    kept: Sequence[int] = (),
    device: str = "cpu",
) -> np.ndarray:
    """`kept`, then rows of which each set is equally likely; see `base.Coreset`."""
    check(points, size, kept)
    others = np.setdiff1d(np.arange(len(points)), kept)
    drawn = rng.choice(others, size - len(kept), replace=False)
    return np.concatenate([np.asarray(kept, np.intp), drawn]).astype(np.intp)
