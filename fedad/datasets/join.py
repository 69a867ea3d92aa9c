"""Several data sets as one, such as six products from six folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fedad.datasets._choose import chosen
from fedad.datasets._place import check_names, tree_error
from fedad.plumbing.files import expanded
from fedad.types import Dataset


def roots_of(text: str) -> list[str]:
    """The folders of a comma list; a folder that is there may have commas in its own name.

    >>> roots_of("/data/a, /data/b")
    ['/data/a', '/data/b']
    """
    if "," not in text or expanded(text).exists():
        return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def joined(datasets: Sequence[Dataset], categories: Sequence[str]) -> Dataset:
    """The samples of all, of the categories wanted; none means all there are.

    Raises:
        DataError: two of them have a category of one name, or none has one that is wanted.
    """
    folders: dict[str, Path] = {}
    for one in datasets:
        for name, folder in one.folders.items():
            if name in folders:
                raise tree_error(
                    f"{one.root}: the category {name!r} is in {folders[name]} too: expected each "
                    "in one of the folders"
                )
            folders[name] = folder
    check_names(folders)
    root = Path(os.path.commonpath([one.root for one in datasets]))
    wanted = chosen(categories, folders, root)
    return replace(
        datasets[0],
        name="+".join(dict.fromkeys(one.name for one in datasets)),
        root=root,
        licence="; ".join(dict.fromkeys(one.licence for one in datasets)),
        samples=tuple(s for one in datasets for s in one.samples if s.category in wanted),
        faults=tuple(fault for one in datasets for fault in one.faults),
        unused=tuple(file for one in datasets for file in one.unused),
        notes=tuple(note for one in datasets for note in one.notes),
        folders={name: folders[name] for name in wanted},
    )
