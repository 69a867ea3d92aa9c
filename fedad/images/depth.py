"""Files of more than 8 bits a value: their whole values, and which of them is white.

Pillow keeps the upper 8 bits of a colour with 16, so that 12 bits of a camera would become 4; its
decoder is asked for the lower ones too.
"""

from __future__ import annotations

import io
import struct
import sys
from typing import Any

import numpy as np
from PIL import Image

from fedad.types import Reading

BITS_OF_TIFF, PLANES_OF_TIFF = 258, 284  # tags
LARGEST_OF_TIFF = (281, 341)  # MaxSampleValue, SMaxSampleValue
LARGEST = 65535.0  # of 16 bits
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def bits_of(image: Image.Image, content: bytes) -> int:
    """How many bits a value has in the file; 32 for those that have no white of their own."""
    if image.mode in ("I", "F"):
        return 32
    if image.mode == "1":
        return 1
    if image.format == "PNG":
        return content[24]
    tags = getattr(image, "tag_v2", None)
    found = tags.get(BITS_OF_TIFF, 1) if tags is not None else 8
    return max(found) if isinstance(found, tuple) else int(found)


def white_of(image: Image.Image, content: bytes, reading: Reading) -> float | None:
    """Which value is white in a file of more than 8 bits; None: nobody says, and none is usual.

    What the file says of its bits, where that is followed; else what the site says; else the
    largest that the file's bits allow. PNG's own rule is that fewer bits are scaled to 16 and
    only noted; `to_eight` is told the noted ones where no value is above them.
    """
    bits = bits_of(image, content)
    white = (_written(image, content) if reading.bits else None) or reading.white
    if bits == 32:
        return white
    largest = 2.0**bits - 1
    return largest if white is None else min(white, largest)


def is_in_planes(image: Image.Image) -> bool:
    """Whether a TIFF has each colour of more than 8 bits in a plane of its own, which Pillow reads
    wrongly."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_OF_TIFF, 8)
    planes = isinstance(bits, tuple) and len(bits) > 1 and tags.get(PLANES_OF_TIFF, 1) == 2
    return planes and max(bits) > 8


def values_of(image: Image.Image, content: bytes) -> np.ndarray | None:
    """The whole values (H, W) or (H, W, 3) of a file of more than 8 bits, as it was stored.

    Args:
        image: loaded, of the same content, not turned.

    Returns:
        None for colours in a form whose lower bits Pillow does not give.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    low = _lower_bytes(content, image.format) if image.mode in ("RGB", "RGBA", "LA") else None
    if low is None:
        return None
    high = np.asarray(image.convert("RGB")).astype(np.uint16)
    return (high << 8) | low[..., :3]


def to_eight(values: np.ndarray, white: float) -> np.ndarray:
    """Values as uint8, of which `white` and what is above becomes 255.

    Whole numbers are cut to their upper 8 bits, as 16-bit files always were.
    """
    if values.dtype.kind == "f":
        share = np.nan_to_num(values.astype(np.float64) / white, nan=0.0, posinf=1.0, neginf=0.0)
        return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    whole = values.astype(np.int64) * 256 // (int(white) + 1)
    return np.clip(whole, 0, 255).astype(np.uint8)


def _written(image: Image.Image, content: bytes) -> float | None:
    """White by what the file says of its bits, if it says anything."""
    if image.format == "PNG":
        bits = _significant_bits(content)
        return 2.0**bits - 1 if 8 < bits <= 16 else None
    tags = getattr(image, "tag_v2", {})
    for tag in LARGEST_OF_TIFF:
        found = tags.get(tag)
        found = max(found) if isinstance(found, tuple) and found else found
        if isinstance(found, int | float) and 255 < found <= LARGEST:
            return float(found)
    return None


def _significant_bits(content: bytes) -> int:
    """The most significant bits that a PNG's sBIT says a colour has; 0 if it has none."""
    at = 8
    while at + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        if name == b"sBIT" and 0 < length <= 4:
            given = content[at + 8 : at + 8 + length]
            colours = given[:-1] if length in (2, 4) else given  # the last is of opacity
            return max(colours, default=0)
        if name == b"IDAT":
            break
        at += 12 + length
    return 0


def _lower_bytes(content: bytes, kind: str | None) -> np.ndarray | None:
    """The lower bytes (H, W, colours) of a colour image's values; None if Pillow has no way."""
    with Image.open(io.BytesIO(content), formats=[kind or ""]) as image:
        tiles = getattr(image, "tile", [])
        swapped = [_swapped(tile.args) for tile in tiles]
        if not swapped or None in swapped:
            return None
        if swapped[0] == "RGBA":  # grey and opacity: the bytes as they stand, the second is wanted
            image._mode = "RGBA"
        image.tile = [tile._replace(args=args) for tile, args in zip(tiles, swapped, strict=True)]
        image.load()
        found = np.asarray(image)
    return found[..., 1:2] if swapped[0] == "RGBA" else found


def _swapped(args: Any) -> Any:
    """What tells Pillow's decoder to take the other byte of each value; None for other forms."""
    raw = args[0] if isinstance(args, tuple) and args else args
    if raw == "LA;16B":
        return "RGBA"
    if raw not in [f"{mode};16{order}" for mode in ("RGB", "RGBX", "RGBA") for order in _SWAPPED]:
        return None
    other = raw[:-1] + _SWAPPED[raw[-1]]
    return (other, *args[1:]) if isinstance(args, tuple) else other
