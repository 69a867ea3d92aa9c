"""The cross-product protocol: learn from some products of a material, judge others (Texture-AD's).

Which product an image is of stays hidden: its category is the material. Nothing is learned from an
unseen product, and no image of a seen one is judged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from fedad.config import DataKnobs
from fedad.errors import ConfigError
from fedad.seeding import stream
from fedad.types import VALIDATION, Dataset, Sample


@dataclass(frozen=True)
class Protocol:
    """The products of a material: those that are learned from, and those that are judged."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def cross_product(
    dataset: Dataset, knobs: DataKnobs, sites: Sequence[str], seed: int
) -> dict[str, list[Sample]]:
    """Site -> its samples. Each seen product is learned from at one site, which has its validation
    images too; the test images of an unseen one are dealt out to all sites that learn its material.

    Raises:
        ConfigError: a material that has not two products, or more sites than seen products.
    """
    protocols = protocols_of(dataset, knobs, seed)
    seen = [(name, product) for name in sorted(protocols) for product in protocols[name].seen]
    if len(sites) > len(seen):
        raise ConfigError(
            f"data.sites = {len(sites)}: under data.partition = 'cross_product' each site learns "
            f"from a product of its own, and there are {len(seen)} to learn from"
        )
    home = dict(zip((product for _, product in seen), cycle(sites), strict=False))
    dealt: dict[str, list[Sample]] = {site: [] for site in sites}
    for (product, split, defect), samples in sorted(_grouped(dataset).items()):
        material = material_of(product, knobs)
        protocol = protocols[material]
        hidden = [_hidden(sample, material) for sample in samples]
        if split in ("train", VALIDATION) and product in protocol.seen:
            dealt[home[product]] += hidden
        if split == "test" and product in protocol.unseen:
            judges = sorted({home[one] for one in protocol.seen}, key=sites.index)
            order = stream(seed, "partition", split, product, defect).permutation(len(hidden))
            turn = stream(seed, "partition", "first", product, defect).integers(len(judges))
            for place, number in enumerate(order, start=int(turn)):
                dealt[judges[place % len(judges)]].append(hidden[number])
    return dealt


def protocols_of(dataset: Dataset, knobs: DataKnobs, seed: int) -> dict[str, Protocol]:
    """Material -> its seen and unseen products, drawn by the seed, `data.unseen` of them unseen.

    A product without good images to learn from is always unseen, one without test images seen.

    Raises:
        ConfigError: a material without a product for either.
    """
    products: dict[str, list[str]] = defaultdict(list)
    for category in dataset.categories:
        products[material_of(category, knobs)].append(category)
    splits: dict[str, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        splits[sample.category].add(sample.split)
    return {
        material: _drawn(material, sorted(of), splits, knobs.unseen, seed)
        for material, of in products.items()
    }


def _drawn(
    material: str, products: list[str], splits: dict[str, set[str]], share: float, seed: int
) -> Protocol:
    order = stream(seed, "cross_product", material).permutation(len(products))
    # Those that cannot be learned from come first, those that cannot be judged last.
    ranked = sorted(
        (products[k] for k in order),
        key=lambda name: ("train" in splits[name]) + ("test" not in splits[name]),
    )
    least = max(1, sum("train" not in splits[name] for name in products))
    most = len(products) - max(1, sum("test" not in splits[name] for name in products))
    if least > most:
        raise ConfigError(
            f"data.partition = 'cross_product': material {material!r} has {', '.join(products)}: "
            "expected a product with good images to learn from and another with test images; does "
            "data.material tell a product's material?"
        )
    count = min(most, max(least, round(share * len(products))))
    return Protocol(seen=tuple(sorted(ranked[count:])), unseen=tuple(sorted(ranked[:count])))


def material_of(product: str, knobs: DataKnobs) -> str:
    """A product's material: what `data.material` finds in its name, else the name up to its first
    hyphen, or without its number.

    >>> material_of("cloth_07", DataKnobs()), material_of("wafer-a3", DataKnobs())
    ('cloth', 'wafer')
    """
    if not knobs.material:
        return product.partition("-")[0] if "-" in product[1:] else _numberless(product)
    try:
        found = re.search(knobs.material, product)
    except re.error as error:
        raise ConfigError(
            f"data.material = {knobs.material!r}: no regular expression ({error})"
        ) from error
    if found is None or not (name := found[1] if found.re.groups else found[0]):
        raise ConfigError(
            f"data.material = {knobs.material!r}: finds nothing in product {product!r}"
        )
    return name


def _numberless(product: str) -> str:
    return re.sub(r"[_ ]?\d+$", "", product) or product


def _hidden(sample: Sample, material: str) -> Sample:
    """The image as one of the material; its name alone tells it from those of other products."""
    return replace(
        sample,
        category=material,
        group=f"{sample.category}: {sample.group}" if sample.group else "",
        label=f"{sample.category}/{sample.label or sample.path.stem}",
    )


def _grouped(dataset: Dataset) -> dict[tuple[str, str, str], list[Sample]]:
    groups: dict[tuple[str, str, str], list[Sample]] = defaultdict(list)
    for sample in sorted(dataset.samples, key=lambda sample: sample.name):
        groups[sample.category, sample.split, sample.defect].append(sample)
    return groups
