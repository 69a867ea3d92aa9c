"""Image files: read whole, and decoded once their size is known.

A file of 20 KB may claim 400 million pixels, so nothing is decoded before its header was looked at.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from fedad.errors import BadFileError
from fedad.images.depth import is_in_planes
from fedad.images.orientation import size_of, tag_of
from fedad.types import Reading

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
ENDINGS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "BMP": (".bmp",), "TIFF": (".tif", ".tiff")}
SUFFIXES = tuple(suffix for endings in ENDINGS.values() for suffix in endings)
MOST_PIXELS = Reading().most_pixels
BYTES_A_PIXEL = 6  # 16 bits, three colours, not compressed
MOST_SCANS = 50  # of a progressive JPEG, which has about ten; each costs time, and hardly a byte
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF
AS_USUAL = Reading()
_STRICT = threading.RLock()  # warnings have one state for all threads


class Loaded(NamedTuple):
    """A file's first image as Pillow gives it, and the orientation that its tag says (1 to 8)."""

    image: Image.Image
    tag: int


def read_file(path: Path, reading: Reading = AS_USUAL) -> bytes:
    """All bytes of a regular file that is not larger than any image.

    Raises:
        BadFileError: it is none, or changes while it is read.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise BadFileError(f"{shown(path)}: expected a file, this is none", "kind")
        _check_bytes(about.st_size, path, reading)
        with path.open("rb") as file:
            content = file.read(about.st_size + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise no_file(path, error) from error
    if (len(content), after.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
        raise BadFileError(f"{shown(path)}: it changed while it was read", "changed")
    if not content:
        raise BadFileError(f"{shown(path)}: the file has no bytes: is the disk full?", "empty")
    return content


def received(content: bytes, name: Path, reading: Reading = AS_USUAL) -> bytes:
    """A file's bytes that came by another way than a disk, held to what `read_file` asks of a file.

    Raises:
        BadFileError: none, or more than any image has.
    """
    _check_bytes(len(content), name, reading)
    if not content:
        raise BadFileError(f"{shown(name)}: the file has no bytes", "empty")
    return content


def _check_bytes(size: int, path: Path, reading: Reading) -> None:
    """Refuse a file that is larger than any image."""
    most = BYTES_A_PIXEL * reading.most_pixels
    if size > most:
        raise BadFileError(
            f"{shown(path)}: {size:,} bytes, expected at most {most:,}: is it an image? "
            "(data.most-megapixels)",
            "large",
        )


def loaded(content: bytes, path: Path, reading: Reading = AS_USUAL) -> Loaded:
    """The first image in the bytes of a file, decoded, in the mode it was saved in.

    Raises:
        BadFileError: no image, more pixels than are read, or cut short.
    """
    allow(reading.most_pixels)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image, content, path, reading.most_pixels)
            tag = tag_of(image) if image.format == "TIFF" else 0
            image.load()
            return Loaded(image, tag or tag_of(image))
    except BadFileError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise bomb(path, f"{error}", reading.most_pixels) from error
    except Exception as error:  # Pillow raises whatever a broken header leads it to
        raise no_image(path, error) from error


def image_size(path: Path, reading: Reading = AS_USUAL) -> tuple[int, int]:
    """(H, W) of the picture as it is read, from the file's header where that tells it.

    Raises:
        BadFileError: no such file, or not an image.
    """
    allow(reading.most_pixels)
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            is_said = reading.orientation or image.format == "TIFF"
            return size_of(image, tag_of(image) if is_said else 1, follow=reading.orientation)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise bomb(path, f"{error}", reading.most_pixels) from error
    except Exception as error:
        raise _unusable(path, error) from error


def tag_in_header(path: Path) -> int:
    """The orientation that a file's header says, 1 to 8; 1 also where it cannot be read."""
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            return tag_of(image) if image.format != "PNG" or "exif" in image.info else 1
    except Exception:  # what is wrong with it is found by reading it
        return 1


@contextmanager
def strict() -> Iterator[None]:
    """What Pillow would warn of is an error inside; one thread at a time is."""
    with _STRICT, warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"PIL\.")
        yield


def shown(path: Path) -> str:
    """A path as it may be printed, whatever bytes its name has."""
    return str(path) if str(path).isprintable() else ascii(str(path))


def allow(pixels: int) -> None:
    """Raise Pillow's own limit to a site's, which may be the higher one."""
    if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = pixels


def bomb(path: Path, what: str, most: int) -> BadFileError:
    return BadFileError(
        f"{shown(path)}: {what}, expected at most {most:,} pixels: is it one image? If it is, "
        f"raise data.most-megapixels = {most / 1e6:g} (a site's node-config: most-megapixels)",
        "bomb",
    )


def no_file(path: Path, error: OSError) -> BadFileError:
    if not path.exists():
        return BadFileError(f"{shown(path)}: there is no such file", "missing")
    return BadFileError(f"{shown(path)}: cannot be read ({error.strerror})", "unreadable")


def no_image(path: Path, error: Exception) -> BadFileError:
    if isinstance(error, UnidentifiedImageError):
        return BadFileError(
            f"{shown(path)}: no PNG, JPEG, BMP or TIFF: is it another format under this ending?",
            "format",
        )
    return BadFileError(
        f"{shown(path)}: cannot be read as an image ({error}): is the file cut short?", "cut"
    )


def _check_size(image: Image.Image, content: bytes, path: Path, most: int) -> None:
    """Refuse, before anything is decoded, what would take too much memory or time, or is read
    wrongly."""
    tags = getattr(image, "tag_v2", {})
    tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))
    if max(image.width * image.height, tile) > most:
        raise bomb(path, f"{image.width} x {image.height} pixels, {tile} a tile", most)
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") > MOST_SCANS:
        raise bomb(path, f"more than {MOST_SCANS} scans", most)
    if is_in_planes(image):
        raise BadFileError(
            f"{shown(path)}: 16 bits with each colour in a plane of its own, which is not read: "
            "save it as PNG, or with the colours of a pixel together",
            "depth",
        )


def _unusable(path: Path, error: Exception) -> BadFileError:
    """Of the system, whose errors have a number, or of Pillow, whose have none."""
    if isinstance(error, OSError) and error.errno is not None:
        return no_file(path, error)
    return no_image(path, error)
