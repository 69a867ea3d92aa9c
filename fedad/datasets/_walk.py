"""All files below a folder, in order, without what an operating system or fedad itself left there.

A link that leads back to a folder above it is not followed twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fedad.errors import DataError
from fedad.images.pixels import SUFFIXES, shown
from fedad.types import Unused

MOST_FILES = 2_000_000
DEEPEST = 40  # folders in folders
# What systems leave among pictures, thumbnails of them too.
JUNK = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
LEADS_BACK, LEADS_NOWHERE = "a link back to a folder above it", "a link that leads nowhere"
SCORES = "scores.csv"
SCORES_HEADS = (
    b"image,category,score\n",  # before there were verdicts
    b"image,category,score,threshold,verdict\n",
    b"image,category,defect,kind,score\n",
)
# Files that stand together in what `fedad run`, `compare` and `evaluate` write.
OUTPUTS = (
    ("record.json", "environment.json"),
    ("comparison.json", "cells"),
    ("figures.json", "fpr_spro.png"),
)


class File(NamedTuple):
    """A file, or a folder that is called as an image is, and its place below where one began."""

    path: Path
    place: str  # with "/", whatever the system


class Tree(NamedTuple):
    """What a walk found: files in the order of their places, and what it left out."""

    files: list[File]
    left: list[Unused]


def walk(root: Path) -> Tree:
    """The files below `root`.

    Raises:
        OSError: a folder that may not be read.
        DataError: a folder whose name is no printable Unicode, or more files than any data set has.
    """
    tree = Tree([], [])
    _enter(root, "", tree, _chain(root))
    tree.files.sort(key=lambda file: file.place.split("/"))
    return tree


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, but hidden ones and what systems leave.

    Raises:
        OSError: it may not be read.
        DataError: a name that is no printable Unicode: names stand in messages, banks and files.
    """
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    wanted = [path for path in found if not is_hidden(path.name)]
    for path in wanted:
        _check_name(path)
    return wanted


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system leaves."""
    return name[:1] == "." or name.casefold() in JUNK | LITTER


def leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one above it."""
    above = Path(os.path.realpath(folder.parent))  # which takes links that lead to themselves too
    return folder.is_symlink() and above.is_relative_to(os.path.realpath(folder))


def leads_nowhere(path: Path) -> bool:
    """Whether a path is a link to what is not there, or to itself."""
    return path.is_symlink() and not path.exists()


def is_output(folder: Path) -> bool:
    """Whether fedad wrote a folder: maps and scores, a run, a comparison or figures."""
    try:
        with (folder / SCORES).open("rb") as file:
            if file.readline(99) in SCORES_HEADS:
                return True
    except OSError:
        pass
    return any(all(os.path.exists(folder / name) for name in names) for names in OUTPUTS)


def _enter(folder: Path, place: str, tree: Tree, chain: frozenset[tuple[int, int]]) -> None:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path, below = folder / entry.name, f"{place}{entry.name}"
        looks = Path(entry.name).suffix.lower() in SUFFIXES
        is_folder = not looks and _is_dir(entry)
        if is_hidden(entry.name):
            if is_folder and entry.name not in (".git", ".venv"):
                tree.left.append(Unused(path, "hidden folder"))
            elif looks:
                tree.left.append(Unused(path, "hidden"))
        elif is_folder:
            _folder(path, below, tree, chain)
        else:
            tree.files.append(File(path, below))
    if len(tree.files) > MOST_FILES:
        raise DataError(
            f"{shown(folder)}: more than {MOST_FILES:,} files: does a link lead back?", "tree"
        )


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _folder(path: Path, below: str, tree: Tree, chain: frozenset[tuple[int, int]]) -> None:
    _check_name(path)
    here = _identity(path)
    if here in chain:
        tree.left.append(Unused(path, LEADS_BACK))
        return
    if below.count("/") > DEEPEST:
        raise DataError(f"{shown(path)}: more than {DEEPEST} folders deep", "tree")
    if is_output(path):
        tree.left.append(Unused(path, "written by fedad"))
        return
    _enter(path, f"{below}/", tree, chain | {here})


def _chain(root: Path) -> frozenset[tuple[int, int]]:
    """The folders above a walk: a link in it that leads to one of them leads back."""
    real = root.resolve()
    return frozenset(map(_identity, (real, *real.parents)))


def _identity(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_dev, about.st_ino


def _check_name(path: Path) -> None:
    if not path.name.isprintable():
        raise DataError(f"{shown(path)}: its name is no printable Unicode: rename it?", "tree")


def images(files: list[File]) -> Iterator[File]:
    """Those that have an image's ending."""
    return (file for file in files if file.path.suffix.lower() in SUFFIXES)
