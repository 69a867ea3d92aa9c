"""Which images the demo plants take, and the drawing of any one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedad.drawing.canvas import Canvas
from fedad.drawing.part import Product
from fedad.drawing.pipe_clip import PIPE_CLIP
from fedad.drawing.plants import PLANTS, Plant
from fedad.drawing.tank_screw import TANK_SCREW
from fedad.drawing.wiring import WIRING
from fedad.errors import ConfigError
from fedad.seeding import stream
from fedad.types import GOOD

PRODUCTS = (PIPE_CLIP, TANK_SCREW, WIRING)
_LEAST = {"seed": 0, "size": 64, "train": 1, "good": 3, "defective": 1}


@dataclass(frozen=True)
class DrawingPlan:
    """How much is drawn, of images of `size` x `size` pixels.

    A plant and product has `train` good images to learn from, and `good` and `defective` ones to
    judge.
    """

    seed: int = 0
    size: int = 256
    train: int = 12
    good: int = 8
    defective: int = 8

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}: expected {least} or more to draw the demo "
                    "plants, whose test sets hold three variants of each part"
                )


@dataclass(frozen=True, eq=False)
class Shot:
    """One image: what is seen where. `take` counts a plant's, `number` a folder's images."""

    product: Product
    plant: Plant
    variant: int
    split: str
    defect: str
    take: int
    number: int

    @property
    def file(self) -> str:
        """Below the category's folder, such as `test/crack/0003.png`."""
        return f"{self.split}/{self.defect}/{self.number:04d}.png"

    @property
    def readings(self) -> tuple[str, ...]:
        """What is wrong with it, in the order of its mask files; nothing with a good one."""
        return tuple(self.product.defects[self.defect].readings) if self.defect != GOOD else ()


def shots(plan: DrawingPlan) -> Iterator[Shot]:
    """All images of the plan, product by product and plant by plant."""
    for product in PRODUCTS:
        numbers: Counter[tuple[str, str]] = Counter()
        for place, plant in enumerate(PLANTS):
            for variant, split, defect, take in _takes(product, place, plan):
                number = numbers[split, defect]
                numbers[split, defect] += 1
                yield Shot(product, plant, variant, split, defect, take, number)


def _takes(product: Product, place: int, plan: DrawingPlan) -> Iterator[tuple[int, str, str, int]]:
    """(variant, split, defect, take) of one plant, whose own variant is number `place`.

    Defects go round over all plants, so that each occurs equally often, in every variant.
    """
    for take in range(plan.train):
        yield place, "train", GOOD, take
    for take in range(plan.good):
        yield _arriving(place, take), "test", GOOD, take
    defects = sorted(product.defects)
    for take in range(plan.defective):
        turn, which = divmod(place * plan.defective + take, len(defects))
        yield _arriving(place, take + turn), "test", defects[which], take


def _arriving(place: int, take: int) -> int:
    """The variant of a test image: half are the plant's own, the others only other plants know."""
    return (place + (0, 1, 2, 0)[take % 4]) % len(PLANTS)


def draw_image(shot: Shot, *, seed: int, size: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(H, W, 3) uint8 and reading -> (H, W) bool mask, from `seed` and `shot` alone."""
    path = (shot.product.name, shot.plant.name, shot.split, shot.defect, str(shot.take))
    rng = stream(seed, "draw", *path)
    canvas = Canvas(size, shot.plant.aim(rng))
    masks = shot.product.draw(canvas, shot.variant, shot.defect, rng)
    return shot.plant.expose(canvas, rng), masks
