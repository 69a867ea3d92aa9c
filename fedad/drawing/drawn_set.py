"""What one drawing makes: which products, in which images, in which layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from fedad.drawing.part import Product
from fedad.drawing.plan import PRODUCTS, DrawingPlan, Shot, shots


@dataclass(frozen=True, eq=False)
class DrawnSet:
    """A data set that is drawn.

    `layout` is the file in `fedad/datasets/` that reads it, `stamp` the file at its root that says
    how it was drawn, `version` counts up when the same plan gives other pixels.
    """

    name: str
    layout: str
    products: tuple[Product, ...]
    shots: Callable[[DrawingPlan], Iterator[Shot]]
    version: int
    stamp: str = "drawn.json"
    rgb_masks: bool = False  # as AutoVI has them; MVTec LOCO's are grey

    def stamped(self, plan: DrawingPlan) -> dict[str, Any]:
        """What the stamp says of a whole drawing."""
        numbers = {field.name: getattr(plan, field.name) for field in fields(plan)}
        return {"set": self.name, "drawing": self.version, **numbers}


PLANTS_SET = DrawnSet("plants", "synthetic", PRODUCTS, shots, 3, "demo.json", rgb_masks=True)
