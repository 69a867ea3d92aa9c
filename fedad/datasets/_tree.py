"""What the folder trees of AutoVI and of the data sets made like it have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from fedad.errors import DataError
from fedad.images.pixels import SUFFIXES, shown
from fedad.messages.faults import Fault
from fedad.plugins import did_you_mean
from fedad.plumbing.files import TOTALS, is_name
from fedad.plumbing.parse import read_json
from fedad.types import GOOD, Channel, Dataset, Sample, Saturation

LONGEST_CONFIG = 2**20  # bytes of a defects_config.json
UNREAD = (".avif", ".dng", ".gif", ".heic", ".jp2", ".npy", ".pgm", ".ppm", ".raw", ".webp")

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
        DataError: no folder, no such category, a category without images, a name that is no
            printable Unicode, a folder that may not be read, or a broken `defects_config.json`.
    """
    try:
        return _read(name, root, licence=licence, categories=categories, kind=kind, masks=masks)
    except OSError as error:
        raise _tree_error(
            f"{root}: {error.filename!r} cannot be read ({error.strerror})"
        ) from error


def _read(
    name: str,
    root: Path,
    *,
    licence: str,
    categories: Sequence[str],
    kind: Callable[[str], str],
    masks: Masks,
) -> Dataset:
    if not root.is_dir():
        raise _tree_error(
            f"{root}: there is no such folder: does data.dir name the data set's root?"
        )
    folders = _category_folders(root)
    if not folders:
        raise _tree_error(
            f"{root}: no category folder in it: expected {root}/<category>/train/good/*.png"
        )
    samples: list[Sample] = []
    faults: list[Fault] = []
    for category in categories or sorted(folders):
        if category not in folders:
            raise _tree_error(
                f"{root}: no category {category!r}{did_you_mean(category, folders)}: "
                f"there are {', '.join(sorted(folders))}"
            )
        found = list(_samples(category, folders[category], kind, masks))
        if not found:
            raise _tree_error(
                f"{folders[category]}: the category has no image: expected train/good/*.png"
            )
        counts = odd_files(folders[category], found)
        faults += [Fault(word, f"{category}: {n} {_ODD[word]}") for word, n in counts.items() if n]
        samples += found
    return Dataset(name, root, licence, tuple(samples), tuple(faults))


def _tree_error(message: str) -> DataError:
    return DataError(message, reason="tree")


def _category_folders(root: Path) -> dict[str, Path]:
    """Category -> its folder; unzipping AutoVI leaves `<category>/<category>/`."""
    found = {}
    for folder in _subfolders(root):
        doubled = folder / folder.name
        inner = doubled if doubled.is_dir() else folder
        if (inner / "train").is_dir() or (inner / "test").is_dir():
            if not is_name(folder.name):
                raise _tree_error(
                    f"{shown(folder)}: a product's name becomes a file's, expected up to 64 "
                    f"letters, no backslash, and none of {', '.join(TOTALS)}: rename it?"
                )
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
    """The folders in a folder, by name; names stand in messages, banks and other files' names."""
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for path in found:
        if not path.name.isprintable():
            raise _tree_error(f"{shown(path)}: its name is no printable Unicode: rename it?")
    return [path for path in found if path.name[0] != "."]


def image_files(folder: Path) -> list[Path]:
    """What has an image's ending in a folder, by name; hidden files, such as `._0000.png`, not.

    Whether each is a file, and an image, is found by reading it.
    """
    return [path for path in _with_suffix(folder, SUFFIXES) if path.name[0] != "."]


def _with_suffix(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)


def odd_files(folder: Path, samples: Sequence[Sample]) -> dict[str, int]:
    """How many files of a category's folder are left out, or lack something; see `faults.USED`."""
    splits = [f for split in ("train", "test") for f in _subfolders(folder / split)]
    truths = [f for defect in _subfolders(folder / "ground_truth") for f in _subfolders(defect)]
    judged = {(sample.defect, sample.path.stem) for sample in samples if not sample.is_good}
    spare = [f for f in truths if (f.parent.name, f.name) not in judged and image_files(f)]
    defective = [f for f in _subfolders(folder / "train") if f.name != GOOD]
    return {
        "no-mask": sum(sample.masks is None for sample in samples),
        "defects": sum(len(image_files(f)) for f in defective),
        "hidden": sum(p.name[0] == "." for f in splits for p in _with_suffix(f, SUFFIXES)),
        "spare-mask": len(spare),
        "unread": sum(len(_with_suffix(f, UNREAD)) for f in splits)
        + sum(len(image_files(deeper)) for f in splits for deeper in _subfolders(f)),
    }


_ODD = {
    "no-mask": "defective images have no mask",
    "defects": "images in train are of defects: nothing is learned from them",
    "hidden": "hidden files have an image's ending, and are not read",
    "spare-mask": "masks are of a good image, or of none",
    "unread": f"images are in a deeper folder, or of no format that is read ({' '.join(SUFFIXES)})",
}


def mask_folder(folder: Path, defect: str, stem: str) -> list[Path]:
    """The mask files of a test image: a folder of its own, one file a defect channel."""
    return image_files(folder / "ground_truth" / defect / stem)


def read_saturation(path: Path) -> Mapping[int, Saturation]:
    """`defects_config.json`: a mask's pixel value -> what saturates such a region.

    Raises:
        DataError: not the list of objects that AutoVI and MVTec LOCO define.
    """
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > LONGEST_CONFIG:
            raise ValueError(f"more than {LONGEST_CONFIG:,} bytes")
        entries = read_json(path)
        return {int(entry["pixel_value"]): _entry(entry) for entry in entries}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
        AttributeError,
    ) as error:
        raise DataError(
            f"{path}: expected a list of objects with defect_name, pixel_value, "
            f"saturation_threshold and relative_saturation ({type(error).__name__}: {error})",
            reason="config",
        ) from error


def _entry(entry: Mapping[str, object]) -> Saturation:
    threshold, relative = entry["saturation_threshold"], bool(entry["relative_saturation"])
    most = 1 if relative else math.inf
    if not isinstance(threshold, int | float) or not 0 < threshold <= most or threshold == math.inf:
        raise ValueError(
            f"saturation_threshold = {threshold!r} of {entry.get('defect_name')!r}: "
            "expected a share above 0 and at most 1, or a number of pixels"
        )
    return Saturation(float(threshold), relative)
