"""The region of interest of a product at a site: a mask image, 0 where nobody looks.

`data.roi` says where the masks are: below each product's own folder (`roi.png`), or an absolute
path, in which `{product}` and `{site}` stand for their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.errors import BadFileError, ConfigError, DataError
from fedad.images.files import no_file
from fedad.images.pixels import decode, read_file, shown, to_rgb
from fedad.types import Dataset, Reading, Sample

NEAR = 0.01  # by which proportions of an image and its mask may differ


def with_roi(
    samples: Iterable[Sample], dataset: Dataset, pattern: str, site: str = ""
) -> tuple[Sample, ...]:
    """The samples with the masks that `data.roi` names; without a pattern, as they are.

    Raises:
        ConfigError: the pattern asks for a site where there is none, or for what it does not know.
        DataError: a product without its mask.
    """
    if not pattern:
        return tuple(samples)
    found: dict[tuple[Path, str], Path] = {}
    made = []
    for sample in samples:
        key = (_folder(dataset, sample, pattern), sample.category)
        if key not in found:
            found[key] = _mask(*key, pattern, site)
        made.append(replace(sample, roi=found[key]))
    return tuple(made)


def region_of(sample: Sample, size: tuple[int, int]) -> np.ndarray | None:
    """(H, W) bool, of an image of this size: where it is looked at; None: everywhere.

    Raises:
        BadFileError: a mask that cannot be read, has nothing in it, or has other proportions.
    """
    if sample.roi is None:
        return None
    as_it_lies = replace(sample.reading, turn=0)
    try:
        changed = sample.roi.stat().st_mtime_ns
    except OSError as error:
        raise no_file(sample.roi, error) from error
    return _region(sample.roi, size, as_it_lies, changed)


@lru_cache(maxsize=8)  # products that a picture may be of
def _region(path: Path, size: tuple[int, int], reading: Reading, _changed: int) -> np.ndarray:
    image = decode(read_file(path, reading), path, reading)
    height, width = size
    if abs(image.width * height / (image.height * width) - 1) > NEAR:
        raise BadFileError(
            f"{shown(path)}: the region of interest is {image.width} x {image.height}, its image "
            f"{width} x {height}: was it drawn for another camera?",
            "mask-size",
        )
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.NEAREST)
    levels = np.asarray(image if image.mode == "L" else to_rgb(image, path))
    region = levels.reshape(height, width, -1).max(axis=-1) > 0
    if not region.any():
        raise BadFileError(
            f"{shown(path)}: no pixel of the region of interest is set", "mask-value"
        )
    region.flags.writeable = False
    return region


def _folder(dataset: Dataset, sample: Sample, pattern: str) -> Path:
    """Below which a pattern is: the product's own, or that of all where pictures are in any."""
    if Path(pattern).is_absolute() or dataset.name == "folder":
        return dataset.folders.get(sample.category, dataset.root)
    return dataset.folder(sample)


def _mask(folder: Path, category: str, pattern: str, site: str) -> Path:
    if "{site}" in pattern and not site:
        raise ConfigError(f"data.roi = {pattern!r}: there are no sites here: name one mask's path")
    name = pattern.replace("{site}", site).replace("{product}", category)
    if "{" in name:
        raise ConfigError(f"data.roi = {pattern!r}: expected {{site}} and {{product}} alone in it")
    path = folder / name
    if not path.is_file():
        raise DataError(
            f"{shown(path)}: there is no such file, expected the region of interest of "
            f"{category!r} (data.roi = {pattern!r}): a mask of its images' size, 0 where nobody "
            "looks; white all over where all of them counts"
        )
    return path
