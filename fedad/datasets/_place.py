"""Where in what a user names the products' folders are: there, one level up, or further down."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fedad.datasets._walk import is_output, leads_back, subfolders
from fedad.datasets.layout import Layout
from fedad.errors import DataError
from fedad.images.pixels import shown
from fedad.plumbing.alike import in_what, pairs_alike
from fedad.plumbing.files import TOTALS, is_name

DEEPEST = 2  # folders that an archive leaves around the products


class Base(NamedTuple):
    """The folder that holds the products, and each product's own."""

    root: Path
    folders: Mapping[str, Path]
    note: str = ""
    whole: bool = True  # False where the user named one product's folder


def tree_error(message: str) -> DataError:
    """What is wrong with folders."""
    return DataError(message, reason="tree")


def nothing_at(root: Path) -> DataError:
    """What a user named is no folder, and no regular file."""
    if root.is_symlink() and not root.exists():
        return tree_error(f"{root}: it is a link that leads nowhere")
    if root.exists():
        return tree_error(f"{root}: expected a folder or an image, this is neither")
    return tree_error(f"{root}: there is no such folder, and no such file")


def unreadable(root: Path, error: OSError) -> DataError:
    """What below `root` may not be read: the folder that is closed, not a file looked for in it."""
    named = Path(os.fsdecode(error.filename or root))  # a disk that fails names no file
    inside = [folder for folder in reversed(named.parents) if folder.is_relative_to(root)]
    named = next(filter(_is_closed, inside), named)
    return tree_error(f"{root}: {str(named)!r} cannot be read ({error.strerror})")


def _is_closed(folder: Path) -> bool:
    try:
        os.scandir(folder).close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def base_of(layout: Layout, root: Path, *, signed: bool = False) -> Base | None:
    """The products of a layout in, above or below `root`; None where there are none.

    Args:
        signed: only where one of the layout's own signs is there too.

    Raises:
        OSError: a folder that may not be read.
        DataError: a product whose name no file can have, two whose names look alike, or
            several folders further down that each hold products.
    """
    return bases_at(layout, root, signed=signed) or _below(layout, root, signed)


def bases_at(layout: Layout, root: Path, *, signed: bool = True) -> Base | None:
    """The products of a layout in `root`, or `root` as one of them; None where there are none."""
    return _one(layout, root, signed) or _in(layout, root, signed)


def _one(layout: Layout, root: Path, signed: bool) -> Base | None:
    """`root` as one product's own folder."""
    if layout.levels > 1 or not _is_product(layout, root, signed):
        return None
    inner = root / root.name
    if _is_product(layout, inner, signed):
        return None  # the doubled folder that unzipping leaves
    name = root.resolve().name
    check_names({name: root})
    return Base(root.parent, {name: root}, f"{shown(root)} is one product's folder", whole=False)


def _in(layout: Layout, root: Path, signed: bool) -> Base | None:
    found = dict(_products(layout, root, signed, layout.levels))
    check_names(found)
    return Base(root, found) if found else None


def _products(
    layout: Layout, root: Path, signed: bool, levels: int, above: str = ""
) -> Iterator[tuple[str, Path]]:
    """The names and folders of the products so many folders below `root`."""
    for folder in subfolders(root):
        if is_output(folder):
            continue
        name = f"{above}{folder.name}"
        if levels > 1:
            yield from _products(layout, folder, signed, levels - 1, f"{name}-")
            continue
        doubled = folder / folder.name
        inner = doubled if doubled.is_dir() else folder
        if _is_product(layout, inner, signed):
            yield name, inner


def _below(layout: Layout, root: Path, signed: bool, depth: int = DEEPEST) -> Base | None:
    """The only folder further down that holds products."""
    if not depth:
        return None
    found = []
    for folder in subfolders(root):
        if is_output(folder) or leads_back(folder):
            continue
        base = _in(layout, folder, signed) or _below(layout, folder, signed, depth - 1)
        if base is not None:
            found.append(base)
    if len(found) > 1:
        raise tree_error(
            f"{root}: no category folder in it, but "
            f"{' and '.join(shown(base.root) for base in found)} hold some: name one of them"
        )
    if not found:
        return None
    return found[0]._replace(note=f"the products are in {shown(found[0].root)}")


def _is_product(layout: Layout, folder: Path, signed: bool) -> bool:
    if not any((folder / top).is_dir() for top in layout.tops):
        return False
    return not signed or any(next(folder.glob(sign), None) for sign in layout.signs)


def check_names(folders: Mapping[str, Path]) -> None:
    """Refuse products whose names no file can have, or that look alike.

    Raises:
        DataError: naming the folder.
    """
    for name, folder in folders.items():
        if not is_name(name):
            raise tree_error(
                f"{shown(folder)}: a product's name becomes a file's, expected up to 64 "
                f"printable letters, no backslash, and none of {', '.join(TOTALS)}: rename it?"
            )
    for one, other in pairs_alike(folders):
        raise tree_error(
            f"{shown(folders[other])}: the products {in_what(one, other)}, so that people, servers "
            "and other systems take them for one: rename or join them"
        )
