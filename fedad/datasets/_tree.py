"""What the folder trees of AutoVI and of the data sets made like it have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from fedad.errors import DataError
from fedad.images import SUFFIXES
from fedad.plugins import nearest
from fedad.types import GOOD, Channel, Dataset, Sample, Saturation

Masks = Callable[[Path, str, str], list[Path]]  # category folder, defect, stem -> mask files


def read_tree(
    name: str,
    root: Path,
    *,
    licence: str,
    categories: Sequence[str] = (),
    kind: Callable[[str], str] = lambda defect: "",
    masks: Masks,
) -> Dataset:
    """All samples below `root`, counted from disk.

    Args:
        categories: the products wanted; none means all there are.
        kind: a defect's name -> "structural", "logical" or nothing.
        masks: where a defective image's mask files are.

    Raises:
        DataError: no folder, no such category, a category without images, or a broken
            `defects_config.json`.
    """
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder: does data.dir name the data set's root?")
    folders = _category_folders(root)
    if not folders:
        raise DataError(
            f"{root}: no category folder in it: expected {root}/<category>/train/good/*.png"
        )
    samples: list[Sample] = []
    warnings: list[str] = []
    for category in categories or sorted(folders):
        if category not in folders:
            raise DataError(
                f"{root}: no category {category!r}{nearest(category, folders)}: "
                f"there are {', '.join(sorted(folders))}"
            )
        found = list(_samples(category, folders[category], kind, masks))
        if not found:
            raise DataError(
                f"{folders[category]}: the category has no image: expected train/good/*.png"
            )
        if bare := sum(sample.masks is None for sample in found):
            warnings.append(f"{category}: {bare} defective images have no mask")
        samples += found
    return Dataset(name, root, licence, tuple(samples), tuple(warnings))


def _category_folders(root: Path) -> dict[str, Path]:
    """Category -> its folder; unzipping AutoVI leaves `<category>/<category>/`."""
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        doubled = folder / folder.name
        inner = doubled if doubled.is_dir() else folder
        if (inner / "train").is_dir() or (inner / "test").is_dir():
            found[folder.name] = inner
    return found


def _samples(
    category: str, folder: Path, kind: Callable[[str], str], masks: Masks
) -> Iterator[Sample]:
    saturation = read_saturation(folder / "defects_config.json")
    for split in ("test", "train"):
        for defect_folder in _subfolders(folder / split):
            defect = defect_folder.name
            if split == "train" and defect != GOOD:
                continue  # nothing is learned from a defect
            for path in image_files(defect_folder):
                found: tuple[Channel, ...] | None = ()
                if defect != GOOD:
                    files = masks(folder, defect, path.stem)
                    found = tuple(Channel(file, saturation) for file in files) or None
                yield Sample(category, split, defect, path, found, kind(defect))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()
    )


def mask_folder(folder: Path, defect: str, stem: str) -> list[Path]:
    """The mask files of a test image: a folder of its own, one file a defect channel."""
    return image_files(folder / "ground_truth" / defect / stem)


def read_saturation(path: Path) -> Mapping[int, Saturation]:
    """`defects_config.json`: a mask's pixel value -> what saturates such a region.

    Raises:
        DataError: not the list of objects that AutoVI and MVTec LOCO define.
    """
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text())
        return {int(entry["pixel_value"]): _entry(path, entry) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: expected a list of objects with defect_name, pixel_value, "
            f"saturation_threshold and relative_saturation ({type(error).__name__}: {error})"
        ) from error


def _entry(path: Path, entry: Mapping[str, object]) -> Saturation:
    threshold, relative = entry["saturation_threshold"], bool(entry["relative_saturation"])
    if not isinstance(threshold, int | float) or (relative and not 0 < threshold <= 1):
        raise DataError(
            f"{path}: saturation_threshold = {threshold!r} of {entry.get('defect_name')!r}: "
            "expected a share above 0 and at most 1, or a number of pixels"
        )
    return Saturation(float(threshold), relative)
