"""Image files -> pixels, with the rule for each kind of file in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fedad.errors import DataError
from fedad.types import Channel, Region, Saturation

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def read_image(path: Path) -> Image.Image:
    """The image as 8-bit RGB; 16-bit images are scaled, so that they do not turn white.

    Raises:
        DataError: no such file, not an image, or cut short.
    """
    image = _decode(path)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) from the file's header, without decoding it."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.height, image.width
    except OSError as error:
        raise _unreadable(path, error) from error


def read_region(channel: Channel, size: tuple[int, int]) -> Region:
    """The mask of one channel for an image of `size` (H, W); L, RGB and RGBA files alike.

    Raises:
        DataError: another size than its image, no defect pixel, two values, or a value that
            `defects_config.json` does not list.
    """
    image = _decode(channel.path)
    pixels = np.asarray(image.convert("RGB") if image.mode in ("1", "P") else image)
    levels = pixels if pixels.ndim == 2 else pixels[..., 0]
    if levels.shape != size:
        raise DataError(
            f"{channel.path}: the mask is {levels.shape[1]} x {levels.shape[0]}, its image "
            f"{size[1]} x {size[0]}: was one of them cropped or resized?"
        )
    values = [int(value) for value in np.unique(levels) if value]
    if len(values) != 1:
        raise DataError(
            f"{channel.path}: a mask has one value besides 0, this has {values or 'none'}: "
            "each defect channel is a file of its own, saved without smoothing"
        )
    mask = levels == values[0]
    area = _saturation(channel, values[0]).area(int(np.count_nonzero(mask)))
    return Region(mask, area)


def _saturation(channel: Channel, value: int) -> Saturation:
    if value not in channel.saturation:
        raise DataError(
            f"{channel.path}: its value {value} is no pixel_value in defects_config.json, which "
            f"lists {', '.join(map(str, sorted(channel.saturation)))}: is the defect missing there?"
        )
    return channel.saturation[value]


def _decode(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    if not path.exists():
        return DataError(f"{path}: there is no such file")
    return DataError(f"{path}: cannot be read as an image ({error}): is the file cut short?")
