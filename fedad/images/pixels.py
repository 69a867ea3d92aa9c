"""Image files -> pixels, with the rule for each kind of file in one place.

Nothing is decoded before its size is known: a file of 20 KB may claim 400 million pixels. Reading
one image takes at most half a gigabyte and a few seconds, whatever the file holds.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from fedad.errors import BadFileError
from fedad.types import Channel, Region, Saturation

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
ENDINGS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "TIFF": (".tif", ".tiff")}
SUFFIXES = tuple(suffix for endings in ENDINGS.values() for suffix in endings)
MOST_PIXELS = 40_000_000  # a camera of 7,680 x 4,320 has 33 million
MOST_BYTES = 6 * MOST_PIXELS  # 16 bits, three colours, not compressed
MOST_SCANS = 50  # of a progressive JPEG, which has about ten; each costs time, and hardly a byte
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF


def read_image(path: Path) -> Image.Image:
    """The image as 8-bit RGB.

    16-bit images are scaled, so that they do not turn white; transparency is left out, and a tag
    that says to turn the image is not followed.

    Raises:
        BadFileError: no such file, not an image, too large or cut short; see `faults.SKIPPED`.
    """
    return to_rgb(decode(read_file(path), path), path)


def read_file(path: Path) -> bytes:
    """All bytes of a regular file that is not larger than any image.

    Raises:
        BadFileError: it is none, or changes while it is read.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise BadFileError(f"{shown(path)}: expected a file, this is none", "kind")
        if about.st_size > MOST_BYTES:
            raise BadFileError(
                f"{shown(path)}: {about.st_size:,} bytes, expected at most {MOST_BYTES:,}: is it "
                "an image?",
                "large",
            )
        with path.open("rb") as file:
            content = file.read(about.st_size + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise _no_file(path, error) from error
    if (len(content), after.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
        raise BadFileError(f"{shown(path)}: it changed while it was read", "changed")
    if not content:
        raise BadFileError(f"{shown(path)}: the file has no bytes: is the disk full?", "empty")
    return content


def decode(content: bytes, path: Path) -> Image.Image:
    """The first image in the bytes of a file, decoded, in the mode it was saved in.

    Raises:
        BadFileError: no image, more pixels than are read, or cut short.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image, content, path)
            image.load()
            return image
    except BadFileError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise _bomb(path, f"{error}") from error
    except Exception as error:  # Pillow raises whatever a broken header leads it to
        raise _no_image(path, error) from error


def to_rgb(image: Image.Image, path: Path) -> Image.Image:
    """A decoded image as 8-bit RGB; see `read_image`."""
    if image.mode in ("F", "I"):
        raise BadFileError(
            f"{shown(path)}: values of {image.mode} have no agreed white: save 8 or 16 bits",
            "depth",
        )
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "RGB":
        return image
    image.info.pop("transparency", None)  # Pillow would warn that it is lost
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise _no_image(path, error) from error


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) from the file's header, without decoding it.

    Raises:
        BadFileError: no such file, or not an image.
    """
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            return image.height, image.width
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(path, f"{error}") from error
    except Exception as error:
        raise _unusable(path, error) from error


@contextmanager
def strict() -> Iterator[None]:
    """What Pillow would warn of is an error inside; not to be entered by two threads at once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\.")
        yield


def read_region(channel: Channel, size: tuple[int, int]) -> Region:
    """The mask of one channel for an image of `size` (H, W); L, RGB and RGBA files alike.

    Raises:
        BadFileError: another size than its image, no defect pixel, two values, or a value that
            `defects_config.json` does not list.
    """
    levels = _levels(channel.path)
    if levels.shape != size:
        raise BadFileError(
            f"{channel.path}: the mask is {levels.shape[1]} x {levels.shape[0]}, its image "
            f"{size[1]} x {size[0]}: was one of them cropped or resized?",
            "mask-size",
        )
    values = [int(value) for value in np.unique(levels) if value]
    if len(values) != 1:
        raise BadFileError(
            f"{channel.path}: a mask has one value besides 0, this has {values[:9] or 'none'}: "
            "each defect channel is a file of its own, saved without smoothing",
            "mask-value",
        )
    mask = levels == values[0]
    area = _saturation(channel, values[0]).area(int(np.count_nonzero(mask)))
    return Region(mask, area)


def shown(path: Path) -> str:
    """A path as it may be printed, whatever bytes its name has."""
    return str(path) if str(path).isprintable() else ascii(str(path))


def _levels(path: Path) -> np.ndarray:
    """A mask's values (H, W): of colours the first."""
    image = decode(read_file(path), path)
    if image.mode in ("1", "P", "F", "I"):
        image = to_rgb(image, path)
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else pixels[..., 0]


def _saturation(channel: Channel, value: int) -> Saturation:
    if value not in channel.saturation:
        raise BadFileError(
            f"{channel.path}: its value {value} is no pixel_value in defects_config.json, which "
            f"lists {', '.join(map(str, sorted(channel.saturation)))}: is the defect missing "
            "there?",
            "mask-value",
        )
    return channel.saturation[value]


def _check_size(image: Image.Image, content: bytes, path: Path) -> None:
    """Refuse, before anything is decoded, what would take too much memory or time."""
    tags = getattr(image, "tag_v2", {})
    tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))
    if max(image.width * image.height, tile) > MOST_PIXELS:
        raise _bomb(path, f"{image.width} x {image.height} pixels, {tile} a tile")
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") > MOST_SCANS:
        raise _bomb(path, f"more than {MOST_SCANS} scans")


def _bomb(path: Path, what: str) -> BadFileError:
    return BadFileError(
        f"{shown(path)}: {what}, expected at most {MOST_PIXELS:,} pixels: is it one image?", "bomb"
    )


def _unusable(path: Path, error: Exception) -> BadFileError:
    """Of the system, whose errors have a number, or of Pillow, whose have none."""
    if isinstance(error, OSError) and error.errno is not None:
        return _no_file(path, error)
    return _no_image(path, error)


def _no_file(path: Path, error: OSError) -> BadFileError:
    if not path.exists():
        return BadFileError(f"{shown(path)}: there is no such file", "missing")
    return BadFileError(f"{shown(path)}: cannot be read ({error.strerror})", "unreadable")


def _no_image(path: Path, error: Exception) -> BadFileError:
    if isinstance(error, UnidentifiedImageError):
        return BadFileError(
            f"{shown(path)}: no PNG, JPEG, BMP or TIFF: is it another format under this ending?",
            "format",
        )
    return BadFileError(
        f"{shown(path)}: cannot be read as an image ({error}): is the file cut short?", "cut"
    )
