"""Whatever folder it is: the layout is recognised, and said.

    ROOT          a data set as its archive leaves it, or the folder around it
    ROOT          the folder of one category
    ROOT          `good/` and `bad/`, or images, however nested: see `folder`
    FILE          one image

Of the data sets whose signs are there, the one is meant whose products they are, or else whose sign
says most: a `defects_config.json` more than a folder `train/good`. What has no sign is a `folder`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fedad.datasets._folder import has_labels
from fedad.datasets._found import ELSEWHERE
from fedad.datasets._place import Base, base_of, bases_at, nothing_at, tree_error, unreadable
from fedad.datasets._tree import Reader, read_layout
from fedad.datasets._words import role_of
from fedad.datasets.folder import folder
from fedad.datasets.layout import Layout
from fedad.datasets.synthetic import LAYOUT as DEMO
from fedad.drawing.drawn_set import PLANTS_SET
from fedad.errors import DataError
from fedad.images.pixels import shown
from fedad.plugins import names, plugin
from fedad.types import Dataset

__all__ = ["auto"]

WEAK = (False, 1)  # what a folder `train/good` says: many people have one


class Recognised(NamedTuple):
    """A data set's name, why it is taken for that, and the folder that holds its products."""

    name: str
    why: str
    root: Path
    layout: Layout | None = None  # None of a `folder`, which has no fixed one


def auto(root: Path, *, categories: Sequence[str] = ()) -> Dataset:
    """The samples of a folder whose layout is told from what is in it.

    Raises:
        DataError: no such folder, nothing in it that is an image, or what the layout that was
            recognised refuses.
    """
    found = recognise(root)
    note = f"read as {found.name}: {found.why}"
    if found.layout is None:
        dataset = folder(root, categories=categories)
    else:
        dataset = read_layout(found.layout, root, categories=categories)
    return replace(dataset, notes=(note, *dataset.notes))


def recognise(root: Path) -> Recognised:
    """Which data set's layout a folder, or a file, has.

    Raises:
        DataError: no such folder or file, or one that may not be read.
    """
    try:
        return _recognise(root)
    except OSError as error:
        raise unreadable(root, error) from error


def _recognise(root: Path) -> Recognised:
    if root.is_file():
        return Recognised("folder", "one file", root.parent)
    if not root.is_dir():
        raise nothing_at(root)
    if said := _said(root):
        return said
    found = _there(root)
    if not found:
        return Recognised("folder", "no sign of a published data set's layout", root)
    best = max(found, key=lambda one: one.rank)
    if why := _against(best, root):
        return Recognised("folder", why, root)
    return Recognised(best.layout.name, best.why, best.base.root, best.layout)


def _said(root: Path) -> Recognised | None:
    """What a file in the folder says of it."""
    if (root / PLANTS_SET.stamp).is_file():  # read, and nothing is drawn
        return Recognised("synthetic", f"there is {PLANTS_SET.stamp}", root, DEMO)
    for reader in readers():
        if reader.mapping and (root / reader.mapping).is_file():
            layout = reader.layout_of(root)
            return Recognised(layout.name, f"there is {reader.mapping}", root, layout)
    return None


def _there(root: Path) -> list[_Signed]:
    """The layouts whose signs are in the folder, or else further down."""
    near = [(layout, bases_at(layout, root)) for layout in layouts()]
    found = [one for layout, base in near if (one := _signed(layout, base))]
    if found or has_labels(root):
        return found
    far = [(layout, base_of(layout, root, signed=True)) for layout in layouts()]
    found = [one for layout, base in far if (one := _signed(layout, base))]
    _check_one_place(root, found)
    return found


def _check_one_place(root: Path, found: Sequence[_Signed]) -> None:
    """Refuse a folder of several data sets, of which one alone would be read.

    Raises:
        DataError: naming each, and what it is.
    """
    best: dict[Path, _Signed] = {}
    for one in sorted(found, key=lambda one: one.rank):
        best[one.base.root] = one
    apart = [place for place in best if not any(other in place.parents for other in best)]
    if len(apart) > 1:
        told = " and ".join(f"{shown(one)} ({best[one].layout.name})" for one in sorted(apart))
        raise tree_error(f"{root}: it holds several data sets, {told}: name one of them")


def _against(best: _Signed, root: Path) -> str:
    """Why a folder is not in the layout whose sign is there; empty if nothing speaks against it."""
    if odd := next(_good_by_another_name(best.layout, best.base), None):
        return f"{shown(odd)} is called otherwise than a data set's"
    if best.rank <= WEAK and (odd := _elsewhere(best.layout, root)):
        return f"{shown(odd)} is in no place of a data set's"
    return ""


def _elsewhere(layout: Layout, root: Path) -> Path | None:
    """A picture that a layout has no place for, or what it cannot read at all."""
    try:
        dataset = read_layout(layout, root)
    except DataError:
        return root
    return next((path for path, why in dataset.unused if why == ELSEWHERE), None)


def readers() -> list[Reader]:
    """What reads a fixed layout, in the order of the data sets' names."""
    found = [plugin("datasets", name) for name in names("datasets") if name != "auto"]
    return [one for one in found if isinstance(one, Reader)]


def layouts() -> list[Layout]:
    """The layouts that are told by their signs."""
    return [layout for one in readers() for layout in one.layouts if layout.signs]


class _Signed(NamedTuple):
    """A layout that a folder may have, with how much speaks for it."""

    layout: Layout
    base: Base
    rank: tuple[bool, int]
    why: str


def _signed(layout: Layout, base: Base | None) -> _Signed | None:
    if base is None:
        return None
    there = [
        (rank, path)
        for sign, rank in layout.signs.items()
        for product in base.folders.values()
        if (path := next(product.glob(sign), None))
    ]
    if not there:
        return None
    rank, path = max(there, key=lambda one: one[0])
    own = set(base.folders) <= set(layout.products)
    named = own or (bool(layout.inside) and base.root.name == layout.inside)
    why = f"its products are {layout.title}'s" if own else f"there is {_below(path, base.root)}"
    return _Signed(layout, base, (named, rank), why)


def _below(path: Path, root: Path) -> str:
    return shown(path.relative_to(root)) if path.is_relative_to(root) else shown(path)


def _good_by_another_name(layout: Layout, base: Base) -> Iterator[Path]:
    """Folders of good images that a layout would take for those of a defect."""
    for product in base.folders.values():
        for top in (layout.train, layout.test):
            for path in sorted((product / top).glob("*/")):
                if path.name not in layout.good and role_of(path.name) == "good":
                    yield path
