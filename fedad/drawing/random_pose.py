"""Two of the demo's parts as they drop into a tray: in any place, turned by any angle.

All plants build the same variant and see it under lamps of their own. What differs from image to
image is how the part lies, so that few images show few of the poses that there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedad.drawing.canvas import Camera
from fedad.drawing.drawn_set import DrawnSet
from fedad.drawing.part import Product
from fedad.drawing.pipe_clip import PIPE_CLIP
from fedad.drawing.plan import DrawingPlan, Shot
from fedad.drawing.plants import Plant, plants
from fedad.drawing.tank_screw import TANK_SCREW
from fedad.types import GOOD

REACH = 0.15  # how far from the middle a part may lie, in half images


@dataclass(frozen=True)
class Tray(Plant):
    """A plant that parts are not clamped at."""

    def aim(self, rng: np.random.Generator) -> Camera:
        """The camera of one shot, seen from the part: anywhere, at any angle."""
        return Camera(
            (rng.uniform(-REACH, REACH), rng.uniform(-REACH, REACH)),
            rng.uniform(0, 360),
            self.camera.zoom * rng.uniform(0.96, 1.04),
        )


def _shots(plan: DrawingPlan) -> Iterator[Shot]:
    """All images, product by product and plant by plant; defects go round over all plants."""
    trays = [Tray(**vars(plant)) for plant in plants(plan.sites)]
    for product in PRODUCTS:
        numbers: Counter[tuple[str, str]] = Counter()
        for place, tray in enumerate(trays):
            for split, defect, take in _takes(product, place, plan):
                yield Shot(product, tray, 0, split, defect, take, numbers[split, defect])
                numbers[split, defect] += 1


def _takes(product: Product, place: int, plan: DrawingPlan) -> Iterator[tuple[str, str, int]]:
    """(split, defect, take) of one plant."""
    yield from (("train", GOOD, take) for take in range(plan.train))
    yield from (("test", GOOD, take) for take in range(plan.good))
    defects = sorted(product.defects)
    for take in range(plan.defective):
        yield "test", defects[(place * plan.defective + take) % len(defects)], take


PRODUCTS = (PIPE_CLIP, TANK_SCREW)
RANDOM_POSE = DrawnSet("random_pose", "autovi", PRODUCTS, _shots, 1, rgb_masks=True)
