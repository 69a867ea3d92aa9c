"""Image files -> pixels, with the rule for each kind of file in one place.

Nothing is decoded before its size is known: a file of 20 KB may claim 400 million pixels. Reading
one image takes at most half a gigabyte and a few seconds, whatever the file holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedad.errors import BadFileError
from fedad.images.depth import LARGEST, bits_of, to_eight, values_of, white_of
from fedad.images.files import (
    AS_USUAL,
    ENDINGS,
    FORMATS,
    MOST_PIXELS,
    SUFFIXES,
    image_size,
    loaded,
    no_image,
    read_file,
    shown,
    strict,
)
from fedad.images.orientation import turned
from fedad.images.profile import as_srgb, profile_of
from fedad.images.turning import turned_by
from fedad.types import Channel, Reading, Region, Saturation

__all__ = [
    "ENDINGS",
    "FORMATS",
    "MOST_PIXELS",
    "SUFFIXES",
    "Picture",
    "decode",
    "image_size",
    "is_two_valued",
    "mask_levels",
    "picture",
    "read_file",
    "read_image",
    "read_region",
    "rgb",
    "shown",
    "strict",
    "to_rgb",
]


class Picture(NamedTuple):
    """What a file holds: `image` as it was saved, `rgb` as it is read, the orientation that its tag
    says (1 to 8), the bits of a value, the largest value where it has more than 8, and white."""

    image: Image.Image
    rgb: Image.Image
    tag: int
    bits: int
    largest: float
    white: float


def read_image(path: Path, reading: Reading = AS_USUAL) -> Image.Image:
    """The image as 8-bit RGB.

    16-bit images are scaled, so that they do not turn white; transparency is left out. What the
    camera says of turning and of colours is followed as `reading` has it.

    Raises:
        BadFileError: no such file, not an image, too large or cut short; see `faults.SKIPPED`.
    """
    return rgb(read_file(path, reading), path, reading)


def rgb(content: bytes, path: Path, reading: Reading = AS_USUAL) -> Image.Image:
    """As `read_image`, of a file's bytes."""
    return turned_by(picture(content, path, reading).rgb, reading.turn)


def picture(content: bytes, path: Path, reading: Reading = AS_USUAL) -> Picture:
    """All that is read of a file's bytes.

    Raises:
        BadFileError: as `read_image`.
    """
    found = loaded(content, path, reading)
    image = found.image
    bits = bits_of(image, content)
    largest, white, shallow = (
        _shallow(image, content, path, reading) if bits > 8 else (255.0, 255.0, image)
    )
    colours = _colours(shallow, profile_of(image) if reading.profile else b"", path)
    upright = turned(colours, found.tag, image.format, follow=reading.orientation)
    return Picture(image, upright, found.tag, bits, largest, white)


def decode(content: bytes, path: Path, reading: Reading = AS_USUAL) -> Image.Image:
    """The first image in the bytes of a file, in the mode it was saved in, turned as it is read.

    Raises:
        BadFileError: no image, more pixels than are read, or cut short.
    """
    image, tag = loaded(content, path, reading)
    return turned(image, tag, image.format, follow=reading.orientation)


def to_rgb(image: Image.Image, path: Path) -> Image.Image:
    """A decoded image as 8-bit RGB; of 16 bits the upper 8."""
    if image.mode in ("F", "I"):
        raise _no_white(path, image.mode)
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "RGB":
        return image
    clear = image.info.pop("transparency", None)  # Pillow would warn that it is lost
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise no_image(path, error) from error
    finally:
        image.info.update({} if clear is None else {"transparency": clear})


def is_two_valued(path: Path) -> bool:
    """Whether an image has two values at most, as a mask has; not where it cannot be read."""
    try:
        image = loaded(read_file(path), path).image
    except BadFileError:
        return False
    return image.convert("L").getcolors(2) is not None


def read_region(channel: Channel, size: tuple[int, int]) -> Region:
    """The mask of one channel for an image of `size` (H, W); L, RGB and RGBA files alike.

    Raises:
        BadFileError: another size than its image, no defect pixel, two values, or a value that
            `defects_config.json` does not list.
    """
    find = mask_levels if channel.values == "listed" else _marked
    levels = find(channel.path, channel.reading)
    if levels.shape != size:
        is_turned = levels.shape == size[::-1]
        why = "is one of them turned? See data.orientation" if is_turned else ""
        raise BadFileError(
            f"{channel.path}: the mask is {levels.shape[1]} x {levels.shape[0]}, its image "
            f"{size[1]} x {size[0]}: {why or 'was one of them cropped or resized?'}",
            "mask-size",
        )
    values = [int(value) for value in np.unique(levels) if value]
    if channel.values != "listed" and values:
        return Region(levels, int(np.count_nonzero(levels)))
    if not values:
        raise BadFileError(
            f"{channel.path}: no pixel of the mask is marked: all are background", "mask-value"
        )
    if len(values) != 1:
        raise BadFileError(
            f"{channel.path}: a mask has one value besides 0, this has {values[:9]}: "
            "each defect channel is a file of its own, saved without smoothing",
            "mask-value",
        )
    mask = levels == values[0]
    area = _saturation(channel, values[0]).area(int(np.count_nonzero(mask)))
    return Region(mask, area)


def mask_levels(path: Path, reading: Reading) -> np.ndarray:
    """A mask's values (H, W): of colours the first."""
    image = decode(read_file(path, reading), path, reading)
    if image.mode in ("1", "P", "F", "I"):
        image = to_rgb(image, path)
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else pixels[..., 0]


def _marked(path: Path, reading: Reading) -> np.ndarray:
    """A mask (H, W) bool of what is not background, whatever numbers it is marked with.

    From 128 of 255 on, so that soft edges and what JPEG leaves do not widen a defect; where nothing
    is that bright, the numbers are of classes, and all but 0 is marked. Of colours the brightest.
    """
    image = decode(read_file(path, reading), path, reading)
    if image.mode in ("1", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "F", "I"):
        image = to_rgb(image, path)
    levels = np.asarray(image)
    if levels.ndim == 3:
        colours = {2: 1, 4: 3}.get(levels.shape[-1], levels.shape[-1])  # the last may be opacity
        levels = levels[..., :colours].max(-1)
    white = 255 if levels.max() <= 255 else 65535
    return levels > (white // 2 if levels.max() > white // 2 else 0)


def _saturation(channel: Channel, value: int) -> Saturation:
    if value not in channel.saturation:
        raise BadFileError(
            f"{channel.path}: its value {value} is no pixel_value in defects_config.json, which "
            f"lists {', '.join(map(str, sorted(channel.saturation)))}: is the defect missing "
            "there?",
            "mask-value",
        )
    return channel.saturation[value]


def _shallow(
    image: Image.Image, content: bytes, path: Path, reading: Reading
) -> tuple[float, float, Image.Image]:
    """An image of more than 8 bits a value: its largest value, white, and it with 8 bits."""
    white = white_of(image, content, reading)
    if white is None:
        raise _no_white(path, image.mode)
    is_grey = image.mode in ("F", "I") or image.mode.startswith("I;16")
    if not is_grey and white == LARGEST:  # Pillow has taken the upper 8 bits
        return 256.0 * np.asarray(image).max() + 255, white, image
    values = values_of(image, content)
    if values is None:
        raise BadFileError(
            f"{shown(path)}: of {image.mode} with 16 bits only the upper 8 are read, so data.bits "
            "cannot be followed: save it as RGB",
            "depth",
        )
    largest = float(values.max())
    if not np.isfinite(values).all():
        raise BadFileError(f"{shown(path)}: it has values that are no numbers", "depth")
    if reading.bits and largest > white:  # fewer bits, scaled to all as PNG asks for
        white = max(white, white_of(image, content, Reading()) or white)
    is_usual = image.mode.startswith("I;16") and white == LARGEST
    eight = (values >> 8).astype(np.uint8) if is_usual else to_eight(values, white)
    return largest, white, Image.fromarray(eight)


def _colours(image: Image.Image, profile: bytes, path: Path) -> Image.Image:
    """8-bit RGB, by a profile if there is one."""
    if not profile:
        return to_rgb(image, path)
    try:
        return as_srgb(image, profile)
    except ValueError as error:
        raise BadFileError(
            f"{shown(path)}: its colours cannot be converted ({error}): set data.profile = "
            "'ignore' (a site's node-config: profile), or save it anew",
            "colours",
        ) from error


def _no_white(path: Path, mode: str) -> BadFileError:
    return BadFileError(
        f"{shown(path)}: values of {mode} have no agreed white: set data.white (a site's "
        "node-config: white), or save 8 or 16 bits",
        "depth",
    )
