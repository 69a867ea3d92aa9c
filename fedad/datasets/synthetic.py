"""The demo plants: three products, drawn at three plants in AutoVI's layout when first asked for.

    demo.json                                        how they were drawn; their licence beside it
    <category>/train/good/0000.png                   only the variant that the plant builds
    <category>/test/{good,<defect>}/0000.png         all variants at every plant
    <category>/ground_truth/<defect>/0000/0000.png   one file a reading of the defect
    <category>/defects_config.json                   pixel value -> saturation threshold
    <category>/sites.csv                             the plant of each image

Each plant has its own lamp, lens and camera stand, and has learned one variant of a part; half of
what it judges are variants that only the other plants know. Structural defects are damage of a
surface; logical ones are parts missing, misplaced or swapped, with a mask for each reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedad.datasets._tree import read_layout
from fedad.datasets.layout import CONFIG, FOLDER_OF_MASKS, Layout, MaskRule
from fedad.drawing.drawn_set import PLANTS_SET
from fedad.drawing.files import LICENCE
from fedad.drawing.plan import PRODUCTS, DrawingPlan
from fedad.drawing.provide import drawn_with, provide
from fedad.types import Dataset

__all__ = ["synthetic"]

LAYOUT = Layout(
    "synthetic",
    "the demo plants",
    masks=MaskRule(FOLDER_OF_MASKS, "listed"),
    kinds={name: defect.kind for product in PRODUCTS for name, defect in product.defects.items()},
    config=CONFIG,
    stem="{:04d}",
)


def synthetic(root: Path, *, categories: Sequence[str] = (), **numbers: int) -> Dataset:
    """The demo plants below `root`; what is not there yet is drawn.

    Args:
        categories: the products wanted; none means all three. All are drawn.
        numbers: of the `DrawingPlan`; those not given are what the plants that are there were
            drawn with, or `DrawingPlan`'s own.

    Raises:
        ConfigError: a number is too small to draw.
        DataError: `root` holds something else, or plants drawn with other numbers.
    """
    provide(root, PLANTS_SET, DrawingPlan(**{**drawn_with(root, PLANTS_SET), **numbers}))
    return replace(read_layout(LAYOUT, root, categories=categories), licence=LICENCE)
