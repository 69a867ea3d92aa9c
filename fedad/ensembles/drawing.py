"""Defects drawn into held-out good images, and what a combiner may learn of: these alone.

What is drawn into an image depends on its name and the seed, so that it is the same in every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedad.config import Config
from fedad.defects.base import Drawn, draw, kinds
from fedad.seeding import stream
from fedad.types import Features


@dataclass(frozen=True, eq=False)
class Images:
    """Some drawn images, and the network of the good ones; see `types.Pixels`."""

    images: Sequence[np.ndarray]
    network: Callable[[Sequence[np.ndarray]], np.ndarray]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, image: int) -> np.ndarray:
        return self.images[image]

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Features (n, h, w, D) float32 of images, by the same network."""
        return self.network(images)


def drawn_into(good: Features, image: int, count: int, seed: int) -> list[Drawn]:
    """Defects of `count` kinds, in turn from one that the image's name says, drawn into a good
    image.

    Args:
        good: held-out images with pixels; a defect may take a piece of another of its product.
    """
    pixels, name = good.pixels, good.images[image]
    if pixels is None:
        raise ValueError("defects are drawn into images: expected features with their pixels")
    others = [k for k, of in enumerate(good.categories) if of == good.categories[image]]
    others.sort(key=lambda k: good.images[k])  # in whatever order they come
    rng, every = stream(seed, "ensemble", "defects", name), kinds()
    first, found = int(rng.integers(len(every))), list[Drawn]()
    for number in range(count):
        other = pixels[others[int(rng.integers(len(others)))]]
        kind = every[(first + number) % len(every)]
        found.append(draw(pixels[image], other, kind, rng=rng))
    return found


def features_of(drawn: Sequence[Drawn], good: Features, images: Sequence[int]) -> Features:
    """The features of defects that were drawn into some good images, with their pixels: as many
    into each, those of one behind those of another."""
    only_drawn(drawn)
    if good.pixels is None:
        raise ValueError("defects are drawn into images: expected features with their pixels")
    pictures, each = [one.image for one in drawn], len(drawn) // len(images)
    of_image = [k for k in images for _ in range(each)]
    return Features(
        grid=np.asarray(good.pixels.embed(pictures), np.float32),
        categories=tuple(good.categories[k] for k in of_image),
        images=tuple(f"{good.images[k]} {at % each}" for at, k in enumerate(of_image)),
        fingerprint=good.fingerprint,
        pixels=Images(pictures, good.pixels.embed),
    )


def masks_of(drawn: Sequence[Drawn], config: Config, grid: tuple[int, int]) -> np.ndarray:
    """(n, h, w) bool: the patches that show some of each defect."""
    from fedad.embedders.box import box_of
    from fedad.embedders.valid import valid_of

    box = box_of(config.embedder)
    return np.stack([valid_of(box, grid, one.image.shape[:2], one.mask) for one in drawn])


def only_drawn(examples: Sequence[Any]) -> None:
    """Refuse to learn of anything else than what `defects.draw` returned: a real defect that a
    combiner or a weight was chosen by would be one that it is judged by.

    Raises:
        TypeError: another example, such as a sample of a data set.
    """
    for one in examples:
        if type(one) is not Drawn:
            raise TypeError(
                f"a {type(one).__name__}: combiners learn of defects that `defects.draw` drew into "
                "good images, and of nothing else"
            )
