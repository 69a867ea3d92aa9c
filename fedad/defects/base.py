"""What a synthetic defect is, and what draws them.

A defect is made of the part's own good images and a seed, of nothing else: it never saw a real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedad.plugins import names, plugin

TRIES = 12  # places that are tried; that where most changes is taken
SEEN = 6.0  # mean change of grey values inside a defect from which on a try is good enough
LEAST, MOST = 0.003, 0.02  # shares of an image's area that a defect takes


@dataclass(frozen=True, eq=False)
class Drawn:
    """An image (H, W, 3) uint8 with a synthetic defect, its mask (H, W) bool and its kind."""

    image: np.ndarray
    mask: np.ndarray
    kind: str


class Defect(Protocol):
    """Draws one defect into an image (H, W, 3) uint8, which stays as it is.

    Args:
        other: another good image of the part, or the same.

    Returns the new image and the mask (H, W) bool of the defect, outside which nothing changed.
    """

    def __call__(
        self, image: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]: ...


def kinds() -> list[str]:
    """The kinds of defects there are."""
    return names("defects")


def draw(image: np.ndarray, other: np.ndarray, kind: str, *, rng: np.random.Generator) -> Drawn:
    """A defect of a kind where it can be seen: of some tries the first that changes enough, or else
    the one that changes most."""
    defect: Defect = plugin("defects", kind)
    best: Drawn | None = None
    most = -1.0
    for _ in range(TRIES):
        changed, mask = defect(image, other, rng=rng)
        off = np.abs(changed[mask].astype(np.float64) - image[mask])
        seen = float(off.mean()) if off.size else 0.0
        if mask.any() and seen > most:
            best, most = Drawn(changed, mask, kind), seen
        if most >= SEEN:
            break
    if best is None:
        raise ValueError(f"fedad/defects/{kind}.py drew no defect into an image of {image.shape}")
    return best


def area_of(shape: tuple[int, ...], rng: np.random.Generator) -> float:
    """How many pixels a defect in an image of this shape takes, drawn evenly by its logarithm."""
    return float(np.exp(rng.uniform(np.log(LEAST), np.log(MOST)))) * shape[0] * shape[1]


def blended(image: np.ndarray, paint: np.ndarray, mask: np.ndarray, share: float) -> np.ndarray:
    """The image with `paint` (H, W, 3) over it inside the mask, `share` of it opaque."""
    over = (1 - share) * image[mask] + share * paint[mask]
    found = image.copy()
    found[mask] = np.clip(np.rint(over), 0, 255).astype(np.uint8)
    return found
