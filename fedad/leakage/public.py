"""What an attacker has to learn from: drawn images of products other than the private one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedad.datasets.synthetic import synthetic
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set, plan_of
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.leakage.crops import Described, Pairs, joined, sampled, spread
from fedad.plugins import plugin
from fedad.plumbing.files import cache_root
from fedad.plumbing.progress import track
from fedad.types import Dataset, Sample

SETS = ("loco", "textures")  # beside the plants, which any run draws
IMAGES = 8  # of a product
PATCHES = 12_000  # of all products together


def public_pairs(
    embed: Embedder | Described, private: str, *, sets: Sequence[str] = SETS, patches: int = PATCHES
) -> tuple[Pairs, tuple[str, ...]]:
    """Patches of drawn products and their pixels, and the products' names.

    What is not drawn yet is drawn into the cache.

    Args:
        private: the product that is attacked, which is left out.
        sets: drawn ones beside the demo plants.

    Raises:
        DataError: the cache holds something else, or no product is left.
    """
    known = {
        name: some
        for dataset in _datasets(sets)
        for name, some in _good(dataset)
        if name.casefold() != private.casefold()
    }
    if not known:
        raise DataError(f"no drawn product is left to learn from beside {private}")
    found = []
    with track("public images", len(known)) as progress:
        for done, some in enumerate(known.values(), start=1):
            found.append(sampled(embed, spread(some, IMAGES), patches // len(known)))
            progress(done)
    return joined(found), tuple(sorted(known))


def _datasets(sets: Sequence[str]) -> Iterator[Dataset]:
    yield synthetic(cache_root() / "plants")
    for name in sets:
        drawn, root = drawn_set(name), cache_root() / "public" / name
        provide(root, drawn, plan_of(drawn, images=IMAGES, sites=1, good=3, defective=1))
        yield plugin("datasets", drawn.layout)(root)


def _good(dataset: Dataset) -> Iterator[tuple[str, list[Sample]]]:
    for name in dataset.categories:
        some = [one for one in dataset.samples if one.category == name]
        yield name, [one for one in some if one.is_good and one.split == "train"]
