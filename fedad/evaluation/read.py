"""A folder of anomaly maps and the data set they were made for -> judged images, all checked.

    MAPS/<category>/test/<defect>/<stem>.{png,tif,tiff,npy}
    MAPS/<defect>/<stem>.{png,tif,tiff,npy}     where one category is evaluated
    MAPS/<the image's place>.{png,...}          as `fedad score` writes those of a folder of images

One map a test image: 8 or 16 bit grey PNG, integer or float TIFF, or a NumPy array (H, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.datasets.base import open_folder
from fedad.errors import DataError
from fedad.evaluation.scored import Scored
from fedad.images.pixels import image_size
from fedad.images.regions import regions_of
from fedad.plumbing.progress import track
from fedad.types import Dataset, Sample

SUFFIXES = (".png", ".tif", ".tiff", ".npy")
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, MemoryError),
    Image.DecompressionBombError,
)


def open_data(data: Path, categories: Sequence[str] = (), dataset: str = "auto") -> Dataset:
    """The data set at `data`, which may also be the folder around it or that of one category."""
    return open_folder(data, dataset, categories)


def read_category(dataset: Dataset, category: str, maps: Path, *, resize: bool) -> list[Scored]:
    """The judged test images of one category, in the order of their names.

    Args:
        resize: bring maps to their image's size, bicubically, as the official evaluator does;
            otherwise another size is an error.

    Raises:
        DataError: a map is missing, there twice, unreadable, not finite, of another size than its
            image, or of another type than the maps before it. The message names the file.
    """
    samples = [one for one in dataset.samples if one.category == category and one.split == "test"]
    if not samples:
        raise DataError(f"{_test_of(dataset, category)}: no image to evaluate is there")
    if not maps.is_dir():
        raise DataError(f"{maps}: there is no such folder of anomaly maps")
    images: list[Scored] = []
    with track(f"reading {category}", len(samples)) as progress:
        for sample in samples:
            path = _map_path(maps, sample, dataset)
            scores = read_map(path)
            if images and scores.dtype != images[0].map.dtype:
                raise DataError(
                    f"{path}: the map is {scores.dtype}, {images[0].name} {images[0].map.dtype}: "
                    "scores rank on one scale; were the maps written in two runs?"
                )
            images.append(_judged(sample, path, scores, resize))
            progress(len(images))
    return images


def _test_of(dataset: Dataset, category: str) -> str:
    """Where the test images of a category would be."""
    folder = dataset.folders.get(category, dataset.root / category)
    if dataset.name == "folder":
        return f"{folder}, all of whose images are good ones to learn from"
    return f"{folder}/test"


def read_map(path: Path) -> np.ndarray:
    """The anomaly map (H, W) of a file, as uint8, uint16, float32 or float64.

    Raises:
        DataError: it cannot be read, is no single grey channel, or holds something else.
    """
    try:
        scores = np.load(path) if path.suffix == ".npy" else _decode(path)
    except _UNREADABLE as error:
        raise DataError(
            f"{path}: cannot be read as an anomaly map ({error}): is the file cut short?"
        ) from error
    if scores.ndim != 2 or scores.dtype.kind not in "uif":
        raise DataError(
            f"{path}: a map is one channel (H, W) of numbers, this is {scores.shape} of "
            f"{scores.dtype}: was a colour picture of the map saved in its place?"
        )
    return _narrow(scores)


def _decode(path: Path) -> np.ndarray:
    with Image.open(path, formats=("PNG", "TIFF")) as image:
        return np.asarray(image.convert("RGB") if image.mode == "P" else image)


def _narrow(scores: np.ndarray) -> np.ndarray:
    """Integers as uint8 or uint16 where they fit, floats and the rest as native floats."""
    if scores.dtype.kind == "f":
        return scores.astype(np.float64 if scores.dtype.itemsize > 4 else np.float32)
    if scores.dtype.itemsize > 1 and scores.size and scores.min() >= 0 and scores.max() < 2**16:
        return scores.astype(np.uint16)
    return scores if scores.dtype == np.uint8 else scores.astype(np.float64)


def _map_path(maps: Path, sample: Sample, dataset: Dataset) -> Path:
    """The one map of an image."""
    places = _places(maps, sample, dataset)
    there = [[p for suffix in SUFFIXES if (p := Path(f"{s}{suffix}")).is_file()] for s in places]
    found = next(filter(None, there), [])
    if not found:
        raise DataError(
            f"{places[0]}.png: {sample.path} has no anomaly map: expected that file, or one ending "
            f"in {', '.join(SUFFIXES[1:])}; was the image not scored?"
        )
    if len(found) > 1:
        raise DataError(f"{found[0]}: {sample.path} has another map, {found[1].name}: keep one")
    return found[0]


def _places(maps: Path, sample: Sample, dataset: Dataset) -> list[Path]:
    """Where an image's map may be, without its ending: below the maps of all categories or of its
    own, in a folder of the defect's name or of the image's own folder's; or in its image's place.
    """
    nested = maps / sample.category / "test"
    folder = maps if len(dataset.categories) == 1 and not nested.is_dir() else nested
    defects = dict.fromkeys((sample.defect, sample.path.parent.name))
    own = [dataset.folder(sample), dataset.root]
    below = [sample.path.relative_to(top) for top in own if sample.path.is_relative_to(top)]
    return [
        *(folder / defect / sample.file for defect in defects),
        *(maps / ending for place in below for ending in (place.with_suffix(""), place)),
    ]


def _judged(sample: Sample, path: Path, scores: np.ndarray, resize: bool) -> Scored:
    size = image_size(sample.path, sample.reading)
    if scores.shape != size and not resize:
        raise DataError(
            f"{path}: the map is {scores.shape[1]} x {scores.shape[0]}, its image {size[1]} x "
            f"{size[0]}: write maps at the image's own size, uncropped (--mode official resizes "
            "them as the official evaluator does)"
        )
    regions = None
    if sample.masks is not None:
        regions = regions_of(sample.masks, size)
    return Scored(
        scores if scores.shape == size else _resized(scores, size),
        regions,
        sample.category,
        sample.defect,
        sample.kind,
        name=str(path),
    )


def _resized(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The map at `size` (H, W) by Pillow's bicubic filter."""
    pillow = scores.astype(np.float32) if scores.dtype.kind == "f" else scores
    return np.asarray(Image.fromarray(pillow).resize(size[::-1], Image.Resampling.BICUBIC))
