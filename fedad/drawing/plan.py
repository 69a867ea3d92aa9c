"""Which images the demo plants take, and the drawing of any one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedad.drawing.canvas import Canvas
from fedad.drawing.part import Product
from fedad.drawing.pipe_clip import PIPE_CLIP
from fedad.drawing.plants import Plant, plants
from fedad.drawing.tank_screw import TANK_SCREW
from fedad.drawing.wiring import WIRING
from fedad.errors import ConfigError
from fedad.seeding import stream
from fedad.types import GOOD, VALIDATION

PRODUCTS = (PIPE_CLIP, TANK_SCREW, WIRING)
_VARIANTS = 3  # of each of them
_BOUNDS = {  # the least, and the most
    "seed": (0, 2**63),
    "size": (64, 8192),
    "train": (1, 100_000),
    "good": (3, 100_000),
    "defective": (1, 100_000),
    "sites": (1, 99),
    "validation": (0, 100_000),
}


@dataclass(frozen=True)
class DrawingPlan:
    """How much is drawn, of images of `size` x `size` pixels.

    A plant and product has `train` good images to learn from, `good` and `defective` ones to judge,
    and `validation` good ones of each variant that is new to the plant, for its thresholds.
    """

    seed: int = 0
    size: int = 256
    train: int = 12
    good: int = 8
    defective: int = 8
    sites: int = 3
    validation: int = 12

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}: expected {least} to {most} to draw plants, "
                    "whose test sets hold all variants of a part"
                )


@dataclass(frozen=True, eq=False)
class Shot:
    """One image: what is seen where. `take` counts a plant's, `number` a folder's images.

    `folder` is where images of the defect go, if it is not the defect's name; `view` the side that
    a part with several is seen from.
    """

    product: Product
    plant: Plant
    variant: int
    split: str
    defect: str
    take: int
    number: int
    folder: str = ""
    view: str = ""

    @property
    def place(self) -> str:
        """The folder of the image below its split and of its masks below `ground_truth`, with the
        image's stem, such as `crack/0003`."""
        stem = f"{self.number:04d}" + (f"_{self.view}" if self.view else "")
        return f"{self.folder or self.defect}/{stem}"

    @property
    def file(self) -> str:
        """Below the category's folder, such as `test/crack/0003.png`."""
        return f"{self.split}/{self.place}.png"

    @property
    def part(self) -> str:
        """What all views of a part have in common, such as `test/crack/0003`."""
        return f"{self.split}/{self.folder or self.defect}/{self.number:04d}"

    @property
    def readings(self) -> tuple[str, ...]:
        """What is wrong with it, in the order of its mask files; nothing with a good one."""
        return tuple(self.product.defects[self.defect].readings) if self.defect != GOOD else ()


def shots(plan: DrawingPlan) -> Iterator[Shot]:
    """All images of the demo plants, product by product and plant by plant."""
    for product in PRODUCTS:
        numbers: Counter[tuple[str, str]] = Counter()
        for place, plant in enumerate(plants(plan.sites)):
            for variant, split, defect, take in _takes(product, place, plan):
                number = numbers[split, defect]
                numbers[split, defect] += 1
                yield Shot(product, plant, variant, split, defect, take, number)


def _takes(product: Product, place: int, plan: DrawingPlan) -> Iterator[tuple[int, str, str, int]]:
    """(variant, split, defect, take) of one plant, whose own variant is number `place`.

    Defects go round over all plants, so that each occurs equally often, in every variant.
    """
    known = min(_VARIANTS, plan.sites)  # what no plant builds, none has to judge
    for take in range(plan.train):
        yield place % known, "train", GOOD, take
    for new in range(1, known):
        for take in range(plan.validation):
            yield (place + new) % known, VALIDATION, GOOD, (new - 1) * plan.validation + take
    for take in range(plan.good):
        yield _arriving(place, take) % known, "test", GOOD, take
    defects = sorted(product.defects)
    for take in range(plan.defective):
        turn, which = divmod(place * plan.defective + take, len(defects))
        yield _arriving(place, take + turn) % known, "test", defects[which], take


def _arriving(place: int, take: int) -> int:
    """The variant of a test image: half are the plant's own, the others only other plants know."""
    return place + (0, 1, 2, 0)[take % 4]


def draw_image(shot: Shot, *, seed: int, size: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(H, W, 3) uint8 and reading -> (H, W) bool mask, from `seed` and `shot` alone.

    All views of a part draw from one stream what it is like, and each from its own how it is seen.
    """
    path = (shot.product.name, shot.plant.name, shot.split, shot.defect, str(shot.take))
    rng = stream(seed, "draw", *path)
    seen = stream(seed, "draw", *path, shot.view) if shot.view else rng
    canvas = Canvas(size, shot.plant.aim(seen))
    masks = shot.product.draw(canvas, shot.variant, shot.defect, rng)
    return shot.plant.expose(canvas, seen), masks
