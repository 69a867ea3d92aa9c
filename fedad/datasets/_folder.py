"""Pictures in folders of any depth: which is good, which is of what defect, and of which product.

good/ and bad/, in any spelling; other folders beside good/ are defects of that name
train/ and test/ around or inside them, or neither
folders of batches or days anywhere: they change nothing but an image's name
other folders around good/: products
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fedad.datasets._walk import File, images, subfolders
from fedad.datasets._words import Role, role_of
from fedad.images.pixels import SUFFIXES, is_two_valued
from fedad.types import GOOD

MASK_ENDS = ("_mask", "-mask", " mask", ".mask", "_gt", "_groundtruth", "_ground_truth", "_label")
LOSSY = (".jpg", ".jpeg")  # what no mask is saved as that is called as its picture is
FEW = 3  # of a folder's files that are called as a picture is, looked into


class Seen(NamedTuple):
    """What the folders above a picture say of it.

    `product` are the folders around the one that says good or bad; `defect` is GOOD, a defect's
    name, or "" where nothing says which; `more` are folders that change only the name.
    """

    file: File
    product: tuple[str, ...]
    split: str
    defect: str
    more: tuple[str, ...]


class Sorted(NamedTuple):
    """The pictures below a folder."""

    seen: list[Seen]
    masks: list[File]


def has_labels(root: Path) -> bool:
    """Whether a folder itself has a folder of good or bad images, or images."""
    if any(role_of(path.name) in ("good", "bad") for path in subfolders(root)):
        return True
    return any(path.suffix.lower() in SUFFIXES for path in root.iterdir() if path.name[0] != ".")


def sort_pictures(files: Sequence[File]) -> Sorted:
    """Pictures and masks apart, and what is said of each picture."""
    pictures = list(images(list(files)))
    masks = _masks(pictures)
    read = [_read(file) for file in pictures if file.place not in masks]
    products = {one.product for one in read if one.defect == GOOD}
    learned = {one.product for one in read if one.defect == GOOD and one.split == "train"}
    seen = [_in_context(one, products, learned) for one in read]
    return Sorted(seen, [file for file in pictures if file.place in masks])


def _masks(pictures: Iterable[File]) -> set[str]:
    """Places of masks: in a folder of masks, or called as a picture beside them with `_mask`, or as
    it without anything, where they look like masks."""
    pictures = list(pictures)
    stems = set(map(_base, pictures))
    found = set()
    for file in pictures:
        *folders, _ = file.place.split("/")
        base = _base(file)
        beside = any(base.endswith(end) and base.removesuffix(end) in stems for end in MASK_ENDS)
        if beside or any(role_of(name) == "masks" for name in folders):
            found.add(file.place)
    return found | _twins(pictures)


def _twins(pictures: Iterable[File]) -> set[str]:
    """Places of masks such as `a.png` beside the picture `a.jpg`. A folder's are masks where the
    first of them have two values at most."""
    pictures = list(pictures)
    lossy = {_base(file) for file in pictures if file.path.suffix.lower() in LOSSY}
    twins: dict[str, list[File]] = defaultdict(list)
    for file in pictures:
        if file.path.suffix.lower() not in LOSSY and _base(file) in lossy:
            twins[file.place.rpartition("/")[0]].append(file)
    return {
        file.place
        for files in twins.values()
        if all(is_two_valued(file.path) for file in files[:FEW])
        for file in files
    }


def _base(file: File) -> str:
    return file.place.rpartition(".")[0].casefold()


def _read(file: File) -> Seen:
    """What the names of the folders above a picture say by themselves."""
    *folders, _ = file.place.split("/")
    roles = [role_of(name) for name in folders]
    split = next((r for r in roles if r in ("train", "test", "validation")), "")
    at = next((k for k, role in enumerate(roles) if role in ("good", "bad")), None)
    if at is None:
        return Seen(file, _others(folders, roles), split, "", _batches(folders, roles))
    before, after = slice(0, at), slice(at + 1, None)
    product = _others(folders[before], roles[before])
    inner = _others(folders[after], roles[after])
    more = (*_batches(folders, roles), *(inner[:-1] if roles[at] == "bad" else inner))
    defect = GOOD if roles[at] == "good" else inner[-1] if inner else folders[at]
    return Seen(file, product, split, defect, more)


def _in_context(one: Seen, products: set[tuple[str, ...]], learned: set[tuple[str, ...]]) -> Seen:
    """Of a picture of which nothing is said: a folder beside one of good images is of a defect, and
    a training image is good where no folder of training images says so of others."""
    if one.defect:
        return one
    known = [product for product in products if one.product[: len(product)] == product]
    product = max(known, key=len, default=None)
    if product is not None and (inner := one.product[len(product) :]):
        return one._replace(product=product, defect=inner[-1], more=(*inner[:-1], *one.more))
    if one.split in ("train", "validation") and one.product not in learned:
        return one._replace(defect=GOOD)
    return one


def _others(folders: Sequence[str], roles: Sequence[Role]) -> tuple[str, ...]:
    return tuple(name for name, role in zip(folders, roles, strict=True) if role == "other")


def _batches(folders: Sequence[str], roles: Sequence[Role]) -> tuple[str, ...]:
    return tuple(name for name, role in zip(folders, roles, strict=True) if role == "batch")
