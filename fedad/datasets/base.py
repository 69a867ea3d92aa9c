"""Open the data set that the knobs name: what every verb lists its files by.

    recognise(root)         `auto.recognise`: which layout a folder has -> (name, why, root)
    open_dataset(knobs)     `data.dataset` at `data.dir` -> a `Dataset`
    open_folder(root)       the same for a command that gets a folder: `auto` unless it is told
    pictures(root)          every picture to be judged, whatever its folders say

A `Dataset` has, beside its samples: `faults`, a word and a sentence for each kind of thing that is
wrong, by category; `unused`, every file and folder that was found and is not used, and why;
`notes`, how the folders were understood, the layout that was recognised first; `licence`, of the
data set that it is or a file says, never of a layout alone; `folders`, each category's own.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fedad.config import DataKnobs, words
from fedad.datasets._pictures import pictures
from fedad.datasets.join import joined, roots_of
from fedad.errors import ConfigError, DataError
from fedad.images.reading import dataset_read_so
from fedad.plugins import plugin
from fedad.plumbing.files import cache_root, expanded
from fedad.types import Dataset

__all__ = ["DRAWN", "check_trainable", "open_dataset", "open_folder", "pictures"]

DRAWN = "synthetic"  # the one data set that can be made on the spot


def open_dataset(knobs: DataKnobs) -> Dataset:
    """The data set `data.dataset` at `data.dir`, or those in a comma list of folders, as one.

    Raises:
        ConfigError: no folder is named, or one that is not absolute: Flower's processes run in
            folders of their own, where a relative path points elsewhere.
        DataError: the folder is not what the data set's docstring shows.
    """
    read = plugin("datasets", knobs.dataset)
    if not knobs.dir and knobs.dataset == DRAWN:
        return read(cache_root() / "plants", categories=words(knobs.categories))
    roots = [expanded(part) for part in roots_of(knobs.dir)]
    if not knobs.dir or not all(root.is_absolute() for root in roots):
        raise ConfigError(
            f"data.dir = {knobs.dir!r}: expected the absolute path of the data set's folder"
        )
    wanted = words(knobs.categories)
    if len(roots) == 1:
        return dataset_read_so(open_folder(roots[0], knobs.dataset, wanted), knobs)
    parts = [open_folder(root, knobs.dataset) for root in roots]
    return dataset_read_so(joined(parts, wanted), knobs)


def open_folder(root: Path, dataset: str = "auto", categories: Sequence[str] = ()) -> Dataset:
    """The data set in a folder, or in one file.

    Raises:
        DataError: it is not what the data set's docstring shows.
    """
    here = Path(os.path.abspath(root))  # of `.` too, which has no name; links stay as they are
    return plugin("datasets", dataset)(here, categories=tuple(categories))


def check_trainable(dataset: Dataset) -> None:
    """Refuse a data set with test images of a category that nobody has a good image of."""
    learned = {sample.category for sample in dataset.samples if sample.split == "train"}
    if lost := sorted(set(dataset.categories) - learned):
        own = [sample for sample in dataset.samples if sample.category == lost[0]]
        counts = Counter(f"{sample.split}/{sample.path.parent.name}" for sample in own)
        told = ", ".join(f"{count} in {place}" for place, count in counts.most_common(4))
        raise DataError(
            f"{dataset.root}: category {lost[0]!r} has no good training image at any site: "
            f"expected {lost[0]}/train/good/*.png, or the like in the data set's own words; its "
            f"images are {told}",
            reason="tree",
        )
