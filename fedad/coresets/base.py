"""What a coreset is: a function that keeps some of many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Coreset(Protocol):
    """Chooses `size` of `points` (N, D) float32 or float64, without repeating a row.

    Args:
        points: (N, D), finite.
        size: how many rows to keep, 1 to N.
        rng: draws what the choice leaves open.
        kept: rows that are kept already, in this order; they open the result.
        device: where a torch coreset computes; it never changes the result.

    Returns:
        (size,) row numbers in the order chosen, so that a prefix is a smaller coreset. A file
        whose order depends on values alone, and on nothing that is drawn, has the line
        `RANKED = True`: the order then leaves a site as ranks. Otherwise the server draws one.

    Raises:
        ValueError: a size that the points cannot give, or points that are not finite.
    """

    def __call__(
        self,
        points: np.ndarray,
        size: int,
        *,
        rng: np.random.Generator,
        kept: Sequence[int] = (),
        device: str = "cpu",
    ) -> np.ndarray: ...


def check(points: np.ndarray, size: int, kept: Sequence[int]) -> None:
    """Refuse what no coreset can do."""
    if points.ndim != 2 or points.dtype not in (np.float32, np.float64):
        raise ValueError(f"points are (N, D) float32 or float64, got {points.shape} {points.dtype}")
    if not max(1, len(kept)) <= size <= len(points):
        raise ValueError(f"cannot keep {size} of {len(points)} points, {len(kept)} of them set")
    if len(set(kept)) != len(kept):
        raise ValueError("a row is kept twice")
