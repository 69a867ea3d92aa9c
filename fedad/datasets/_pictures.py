"""Every picture below a folder, for a verb that judges them, whatever their folders say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedad.datasets._folder import MASK_ENDS, sort_pictures
from fedad.datasets._found import Odd
from fedad.datasets._labels import labelled_apart
from fedad.datasets._place import tree_error, unreadable
from fedad.datasets._walk import File, is_output
from fedad.datasets.folder import listed, product_name
from fedad.images.pixels import SUFFIXES
from fedad.types import Dataset, Sample, Unused

UNKNOWN = "unknown"  # the defect of a picture of which nothing is known


def pictures(root: Path, *, without: Path | None = None) -> Dataset:
    """The pictures below `root`, or the one picture `root`, as test images of unknown defect.

    A sample's `file` is its place below the folder, without its ending where that tells it from
    others. Masks are left out and named.

    Args:
        without: a folder of results that may lie below `root`.

    Raises:
        DataError: no such folder, no picture in it, or a folder that fedad wrote.
    """
    try:
        return _pictures(root, without)
    except OSError as error:
        raise unreadable(root, error) from error


def _pictures(root: Path, without: Path | None) -> Dataset:
    if is_output(root):
        raise tree_error(f"{root}: fedad wrote this folder: expected one of images to judge")
    odd = Odd()
    base, files = listed(root, odd)
    own = {file for file in files if without is not None and file.path.is_relative_to(without)}
    odd.unused += [Unused(file.path, "written by fedad") for file in sorted(own)]
    found = sort_pictures([file for file in files if file not in own])
    for mask in found.masks:
        odd.note(
            base.name, "spare-mask", mask.path, f"a mask, by {MASK_ENDS[0]} or its folder's name"
        )
    for file in files:
        if file.path.suffix.lower() not in SUFFIXES and file not in own:
            odd.other(base.name, file)
    by_place = sorted(found.seen, key=lambda one: one.file.place.split("/"))
    if not by_place:
        raise tree_error(f"{root}: no image to judge in it, only masks or what fedad wrote")
    labels = _labels([one.file for one in by_place])
    samples = [
        Sample(
            product_name(base, one.product),
            "test",
            UNKNOWN,
            one.file.path,
            None,
            label=labels[one.file.place],
        )
        for one in by_place
    ]
    return Dataset("folder", base, "", tuple(samples), odd.faults([]), tuple(sorted(odd.unused)))


def _labels(files: Sequence[File]) -> dict[str, str]:
    short = {file.place: file.place.removesuffix(file.path.suffix) for file in files}
    return labelled_apart(files, short)
