"""Something of the part is there twice: again at a place that looks like its surroundings."""

from __future__ import annotations

import numpy as np

from fedad.defects._objects import anywhere, object_in, put, ring, sides

__all__ = ["doubled_object"]

TRIED = 24  # places where it may stand again


def doubled_object(
    image: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What stands out most of `other` is put where the image looks like what is around it; see
    `base.Defect`."""
    place = object_in(other, sides(image.shape, rng), rng)
    surroundings = ring(other, place)
    places = [anywhere(image.shape, place.high, place.wide, rng) for _ in range(TRIED)]
    free = min(places, key=lambda at: float(np.abs(ring(image, at) - surroundings).sum()))
    return put(image, place.cut(other), free)
