"""Something of the part is not there: its surroundings are in its place."""

from __future__ import annotations

import numpy as np

from fedad.defects._objects import anywhere, object_in, put, ring, sides

__all__ = ["missing_object"]

TRIED = 24  # places whose surface may cover the object


def missing_object(
    image: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What stands out most is covered by a piece that looks like what is around it; see
    `base.Defect`."""
    place = object_in(image, sides(image.shape, rng), rng)
    wanted = ring(image, place)
    pieces = [anywhere(image.shape, place.high, place.wide, rng).cut(image) for _ in range(TRIED)]
    plain = min(pieces, key=lambda piece: _unlike(piece, wanted))
    return put(image, plain, place)


def _unlike(piece: np.ndarray, wanted: np.ndarray) -> float:
    """How far a piece is from the colour (3,) that is wanted, each of its pixels."""
    return float(np.abs(piece.reshape(-1, 3) - wanted).mean())
