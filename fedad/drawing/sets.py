"""The sets that can be drawn, and which images the LOCO-style parts and the textures take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from fedad.drawing.cloths import CLOTHS
from fedad.drawing.connectors import ANGLE, FLAT_CONNECTOR, SPECIAL_CONSTRUCT
from fedad.drawing.drawn_set import PLANTS_SET, DrawnSet
from fedad.drawing.metals import METALS
from fedad.drawing.part import Product
from fedad.drawing.plan import DrawingPlan, Shot
from fedad.drawing.plants import plants
from fedad.drawing.random_pose import RANDOM_POSE
from fedad.drawing.wafers import WAFERS
from fedad.errors import ConfigError
from fedad.plugins import did_you_mean
from fedad.types import GOOD, VALIDATION

KINDS = ("structural", "logical")  # in turn
TO_A_VALIDATION_IMAGE = 6  # good images to learn from


def _loco_shots(products: Sequence[Product], plan: DrawingPlan) -> Iterator[Shot]:
    """All images of parts in MVTec LOCO's layout: every plant makes all of them."""
    for product in products:
        numbers: Counter[str] = Counter()
        for place, plant in enumerate(plants(plan.sites)):
            for split, defect, take in _loco_takes(product, place, plan):
                folder = f"{product.defects[defect].kind}_anomalies" if defect != GOOD else GOOD
                number = numbers[split + folder]
                numbers[split + folder] += 1
                shot = Shot(product, plant, 0, split, defect, take, number, folder)
                views = enumerate(product.views)
                yield from (replace(shot, variant=k, view=view) for k, view in views)
                if not product.views:
                    yield shot


def _loco_takes(product: Product, place: int, plan: DrawingPlan) -> Iterator[tuple[str, str, int]]:
    """(split, defect, take) of one plant. Kinds of defects alternate; each goes round."""
    good = {
        "train": plan.train,
        VALIDATION: -(-plan.train // TO_A_VALIDATION_IMAGE),
        "test": plan.good,
    }
    for split, count in good.items():
        yield from ((split, GOOD, take) for take in range(count))
    named = [sorted(d for d in product.defects if product.defects[d].kind == k) for k in KINDS]
    for take in range(plan.defective):
        at = place * plan.defective + take
        defects = named[at % len(KINDS)]
        yield "test", defects[at // len(KINDS) % len(defects)], take


def _texture_shots(products: Sequence[Product], plan: DrawingPlan) -> Iterator[Shot]:
    """All images of textures in AutoVI's layout: every product is made at one plant."""
    made_at = plants(plan.sites)
    for number, product in enumerate(products):
        plant, counts = made_at[number % len(made_at)], Counter[str]()
        takes = [("train", GOOD)] * plan.train + [("test", GOOD)] * plan.good
        defects = sorted(product.defects)
        takes += [("test", defects[k % len(defects)]) for k in range(plan.defective)]
        for split, defect in takes:
            take = counts[split + defect]
            counts[split + defect] += 1
            yield Shot(product, plant, 0, split, defect, take, take)


def _loco(name: str, *products: Product) -> DrawnSet:
    return DrawnSet(name, "mvtec_loco", products, partial(_loco_shots, products), 1)


def _textures(name: str, *products: Product) -> DrawnSet:
    shots = partial(_texture_shots, products)
    return DrawnSet(name, "autovi", products, shots, 1, rgb_masks=True)


SETS = {
    drawn.name: drawn
    for drawn in (
        PLANTS_SET,
        _loco("loco", ANGLE, FLAT_CONNECTOR, SPECIAL_CONSTRUCT),
        _textures("textures", *CLOTHS, *WAFERS, *METALS),
        _loco("angle", ANGLE),
        _loco("flat_connector", FLAT_CONNECTOR),
        _loco("special_construct", SPECIAL_CONSTRUCT),
        _textures("cloth", *CLOTHS),
        _textures("wafer", *WAFERS),
        _textures("metal", *METALS),
        RANDOM_POSE,
    )
}


def drawn_set(name: str) -> DrawnSet:
    """The set of that name.

    Raises:
        ConfigError: there is none; the message names the nearest, and all.
    """
    if name not in SETS:
        raise ConfigError(
            f"no drawn set {name!r}{did_you_mean(name, SETS)}: there are {', '.join(SETS)}"
        )
    return SETS[name]


def plan_of(drawn: DrawnSet, *, images: int | None = None, **numbers: int) -> DrawingPlan:
    """The plan for `images` good ones to learn from, of each product at each site that makes it.

    `good` and `defective`, those to judge, grow with them where they are not among `numbers`.
    """
    few, good, defective = _USUAL[drawn.layout]
    train = few if images is None else images
    usual = {"good": max(8, train // good), "defective": max(8, train // defective)}
    return DrawingPlan(**{"train": train, **usual, **numbers})


# By layout: images to learn from, and how many of these to one good and to one defective to judge.
_USUAL = {"synthetic": (12, 3, 3), "mvtec_loco": (60, 4, 2), "autovi": (40, 2, 2)}
