"""Open the data set that the knobs name."""

from __future__ import annotations

from pathlib import Path

from fedad.config import DataKnobs, words
from fedad.errors import ConfigError, DataError
from fedad.plugins import plugin
from fedad.plumbing.files import cache_root
from fedad.types import Dataset

DRAWN = "synthetic"  # the one data set that can be made on the spot


def open_dataset(knobs: DataKnobs) -> Dataset:
    """The data set `data.dataset` at `data.dir`.

    Raises:
        ConfigError: no folder is named, or one that is not absolute: Flower's processes run in
            folders of their own, where a relative path points elsewhere.
        DataError: the folder is not what the data set's docstring shows.
    """
    read = plugin("datasets", knobs.dataset)
    if not knobs.dir and knobs.dataset == DRAWN:
        return read(cache_root() / "plants", categories=words(knobs.categories))
    root = Path(knobs.dir).expanduser()
    if not knobs.dir or not root.is_absolute():
        raise ConfigError(
            f"data.dir = {knobs.dir!r}: expected the absolute path of the data set's folder"
        )
    return read(root, categories=words(knobs.categories))


def check_trainable(dataset: Dataset) -> None:
    """Refuse a data set with test images of a category that nobody has a good image of."""
    learned = {sample.category for sample in dataset.samples if sample.split == "train"}
    if lost := sorted(set(dataset.categories) - learned):
        raise DataError(
            f"{dataset.root}: category {lost[0]!r} has no good training image at any site: "
            f"expected {lost[0]}/train/good/*.png",
            reason="tree",
        )
