"""Where something stands on a part that its surroundings are not: what can be missing or doubled.

No part is cut out by its outline. Of some places, the one is taken whose inside differs most from a
ring around it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedad.defects.base import area_of

PLACES = 40  # that are looked at
SLIMMEST = 0.5  # of an object's sides, the shorter in longer ones
AROUND = 2.0  # sides of the box with the ring, in sides of the object


class Place(NamedTuple):
    """An ellipse inscribed in the box of these sides around a centre."""

    top: int
    left: int
    high: int
    wide: int

    def inside(self) -> np.ndarray:
        """(high, wide) bool: the ellipse."""
        y = (np.arange(self.high) + 0.5) / self.high * 2 - 1
        x = (np.arange(self.wide) + 0.5) / self.wide * 2 - 1
        found: np.ndarray = np.square(y)[:, None] + np.square(x)[None] <= 1
        return found

    def at(self, top: int, left: int) -> Place:
        """The same ellipse elsewhere."""
        return self._replace(top=top, left=left)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The box (high, wide, 3) out of an image."""
        return image[self.top : self.top + self.high, self.left : self.left + self.wide]


def sides(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
    """The sides of a box whose ellipse takes as many pixels as a defect does."""
    ratio = np.exp(rng.uniform(np.log(SLIMMEST), -np.log(SLIMMEST)))
    area = area_of(shape, rng) * 4 / np.pi
    high = int(np.clip(round(np.sqrt(area * ratio)), 2, shape[0]))
    return high, int(np.clip(round(np.sqrt(area / ratio)), 2, shape[1]))


def object_in(image: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> Place:
    """The place that differs most from its surroundings, of some in an image (H, W, 3)."""
    high, wide = min(size[0], image.shape[0]), min(size[1], image.shape[1])
    places = [anywhere(image.shape, high, wide, rng) for _ in range(PLACES)]
    return max(places, key=lambda place: contrast(image, place))


def anywhere(shape: tuple[int, ...], high: int, wide: int, rng: np.random.Generator) -> Place:
    """A box of these sides that lies wholly in an image of this shape."""
    top, left = int(rng.integers(shape[0] - high + 1)), int(rng.integers(shape[1] - wide + 1))
    return Place(top, left, high, wide)


def contrast(image: np.ndarray, place: Place) -> float:
    """How far the mean colour of a box is from that of the ring around it."""
    off = np.abs(place.cut(image).reshape(-1, 3).mean(0) - ring(image, place))
    return float(off.sum())


def ring(image: np.ndarray, place: Place) -> np.ndarray:
    """(3,): the mean colour around a box, or of it where it fills the image."""
    more_y, more_x = (round((AROUND - 1) / 2 * side) for side in (place.high, place.wide))
    top, left = max(0, place.top - more_y), max(0, place.left - more_x)
    around = image[top : place.top + place.high + more_y, left : place.left + place.wide + more_x]
    inside = place.cut(image)
    count = around.shape[0] * around.shape[1] - inside.shape[0] * inside.shape[1]
    total = around.reshape(-1, 3).sum(0, dtype=np.float64)
    total -= inside.reshape(-1, 3).sum(0, dtype=np.float64)
    return total / count if count else inside.reshape(-1, 3).mean(0)


def put(image: np.ndarray, piece: np.ndarray, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """The image with the ellipse of a piece (high, wide, 3) at a place, and its mask (H, W)."""
    found, mask = image.copy(), np.zeros(image.shape[:2], np.bool_)
    inside = place.inside()
    place.cut(found)[inside] = piece[inside]
    mask[place.top : place.top + place.high, place.left : place.left + place.wide] = inside
    return found, mask
