"""Bytes of image files, good and bad, made by hand where no library would write them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from tests.bad_data.cases import SIDE, pixels

RGB = Image.fromarray(pixels(1))


def saved(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def deep(levels: int = 65536, kind: str = "PNG") -> bytes:
    """A 16-bit grey image that uses the lowest `levels` values."""
    values = np.random.default_rng(2).integers(0, levels, SIDE).astype(np.uint16)
    return saved(Image.fromarray(values), kind)


def turned(kind: str, orientation: int) -> bytes:
    tag = Image.Exif()
    tag[0x112] = orientation
    return saved(RGB, kind, exif=tag)


def turned_mask(content: bytes) -> bytes:
    """A mask with a tag that says to turn it upside down."""
    tag = Image.Exif()
    tag[0x112] = 3
    with Image.open(io.BytesIO(content)) as mask:
        return saved(mask.copy(), exif=tag)


def swapped_profile() -> bytes:
    """A PNG with a profile under which red is blue and blue is red."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = [struct.unpack(">4sII", profile[at : at + 12]) for at in range(132, 132 + 12 * 9, 12)]
    tags = {name: (start, size) for name, start, size in places}
    (red, size), (blue, _) = tags[b"rXYZ"], tags[b"bXYZ"]
    first, other = profile[red : red + size], profile[blue : blue + size]
    profile[red : red + size], profile[blue : blue + size] = other, first
    name = "sRGB".encode("utf-16-be")
    return saved(RGB, icc_profile=bytes(profile).replace(name, "bgrS".encode("utf-16-be")))


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(
    width: int,
    height: int,
    *,
    bits: int = 8,
    colour: int = 2,
    data: bytes = b"",
    extra: bytes = b"",
) -> bytes:
    """A PNG whose header says this, whatever its data holds."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def interlaced() -> bytes:
    """Adam7 of a 24 x 20 grey image: seven small images, one after the other."""
    grey = pixels(3, SIDE)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    parts = [*(grey[y::v, x::h] for y, x, v, h in passes), grey[1::2]]
    data = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    header = struct.pack(">IIBBBBB", SIDE[1], SIDE[0], 8, 0, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def png_bomb(side: int) -> bytes:
    """A whole 1-bit PNG: a few kilobytes for `side` x `side` pixels."""
    packer = zlib.compressobj(9)
    row = b"\0" + bytes((side + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png(side, side, bits=1, colour=0, data=data)


def text_bomb(name: bytes) -> bytes:
    """A good PNG with a compressed chunk of 200 MB."""
    packed = zlib.compress(bytes(200_000_000), 9)
    raw = b"".join(b"\0" + row.tobytes() for row in pixels(4))
    extra = chunk(name, b"note\0\0" + packed)
    return png(SIDE[1], SIDE[0], data=zlib.compress(raw), extra=extra)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def jpeg_claiming(width: int, height: int) -> bytes:
    """A JPEG whose frame header says another size than its data gives."""
    content = saved(RGB, "JPEG")
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def scans_bomb(scans: int) -> bytes:
    """A progressive JPEG of 36 million pixels that is gone over again and again."""
    image = Image.new("RGB", (6000, 6000), (120, 130, 90))
    content = saved(image, "JPEG", progressive=True, quality=90)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + scans * last + content[-2:]


def bmp_claiming(width: int, height: int) -> bytes:
    content = saved(RGB, "BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


def tiff(*entries: tuple[int, int, int, int], data: bytes = bytes(64), after: int = 0) -> bytes:
    """A little-endian TIFF of one page: (tag, type, count, value) each; data starts at byte 8."""
    page = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in sorted(entries)
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + page + struct.pack("<I", after)


def grey_tiff(width: int, height: int, *more: tuple[int, int, int, int], after: int = 0) -> bytes:
    """An uncompressed grey TIFF that says this of itself; `more` wins over what is usual."""
    usual = {
        256: (256, 4, 1, width),
        257: (257, 4, 1, height),
        258: (258, 3, 1, 8),
        259: (259, 3, 1, 1),
        262: (262, 3, 1, 1),
        273: (273, 4, 1, 8),
        277: (277, 3, 1, 1),
        278: (278, 4, 1, height),
        279: (279, 4, 1, width * height % 2**32),
    }
    usual |= {entry[0]: entry for entry in more}
    return tiff(*usual.values(), data=pixels(5, (32 * 32,)).tobytes(), after=after)


def tiled_tiff(tile: int) -> bytes:
    """A TIFF of 32 x 32 pixels in one tile of `tile` x `tile`."""
    return grey_tiff(
        32,
        32,
        (322, 4, 1, tile),
        (323, 4, 1, tile),
        (324, 4, 1, 8),
        (325, 4, 1, 1024),
        (259, 3, 1, 8),
    )
