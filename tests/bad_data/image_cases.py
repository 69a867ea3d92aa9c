"""Image files among the training images, and what becomes of each."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bad_data import files
from tests.bad_data.cases import SIDE, SKIP, USE, WARN, Case, a_mask, pixels, train_file
from tests.bad_data.files import RGB, saved

ROWS = b"".join(b"\0" + row.tobytes() for row in pixels(4))
GREY = RGB.convert("L")


def written(content: Callable[[], bytes], name: str = "bad.png") -> Callable[[Path], object]:
    return lambda root: train_file(root, name).write_bytes(content())


def image(
    name: str, content: Callable[[], bytes], rule: str, reason: str = "", file: str = "bad.png"
) -> Case:
    return Case(name, written(content, file), rule, reason)


def transparent() -> Image.Image:
    clear = RGB.copy()
    clear.putalpha(Image.fromarray(pixels(6, SIDE)))
    return clear


USED = [
    *(
        image(f"png {mode}", lambda mode=mode: saved(RGB.convert(mode)), USE)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    ),
    image(
        "png 16-bit colour",
        lambda: files.png(
            3 * 8,
            16,
            bits=16,
            data=zlib.compress(b"".join(b"\0" + pixels(k, (24 * 6,)).tobytes() for k in range(16))),
        ),
        WARN,
        "deep",
    ),
    image("png interlaced", files.interlaced, USE),
    image("png without its end", lambda: saved(RGB)[:-12], USE),
    image("png with more after its end", lambda: saved(RGB) + bytes(99), USE),
    image("png with an icc profile", lambda: saved(RGB, icc_profile=bytes(300)), USE),
    *(
        image(
            f"jpeg {name}",
            lambda how=how: saved(
                GREY if "grey" in how else RGB,
                "JPEG",
                **{k: v for k, v in how.items() if k != "grey"},
            ),
            USE,
            file="bad.jpg",
        )
        for name, how in (
            ("colour", {}),
            ("grey", {"grey": 1}),
            ("progressive", {"progressive": True}),
            ("with a broken exif", {"exif": b"Exif\0\0broken"}),
            ("of the worst quality", {"quality": 1}),
        )
    ),
    *(
        image(f"bmp {mode}", lambda mode=mode: saved(RGB.convert(mode), "BMP"), USE, file="bad.bmp")
        for mode in ("1", "L", "P", "RGB")
    ),
    *(
        image(
            f"tiff {how}", lambda how=how: saved(RGB, "TIFF", compression=how), USE, file="bad.tif"
        )
        for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ),
    image(
        "tiff of fax",
        lambda: saved(RGB.convert("1"), "TIFF", compression="group4"),
        USE,
        file="bad.tiff",
    ),
    image("tiff in YCbCr", lambda: saved(RGB.convert("YCbCr"), "TIFF"), USE, file="bad.tif"),
    image(
        "tiff that leads to itself",
        lambda: files.grey_tiff(32, 32, after=8 + 1024),
        USE,
        file="bad.tif",
    ),
    image("ending in capitals", lambda: saved(RGB), USE, file="BAD.PNG"),
    image("name in Chinese", lambda: saved(RGB), USE, file="零件 №7.png"),
    image("name of 255 bytes", lambda: saved(RGB), USE, file="x" * 251 + ".png"),
    image("name with quotes and spaces", lambda: saved(RGB), USE, file="a 'b' \"c\".png"),
    Case("a link to an image", lambda root: train_file(root).symlink_to(other(root)), USE),
]


def other(root: Path) -> Path:
    """An image outside the plant's folder, of its own bytes."""
    path = root.parent / "elsewhere.png"
    path.write_bytes(saved(RGB))
    return path


WARNED = [
    *(
        image(
            f"jpeg turned by tag {k}",
            lambda k=k: files.turned("JPEG", k),
            WARN,
            "rotated",
            "bad.jpg",
        )
        for k in (3, 6, 8)
    ),
    image("png turned by tag", lambda: files.turned("PNG", 6), WARN, "rotated"),
    image("tiff turned by tag", lambda: files.turned("TIFF", 6), WARN, "rotated", "bad.tif"),
    image("turned and not", lambda: files.turned("PNG", 3), WARN, "mixed"),
    image("colours of another profile", files.swapped_profile, WARN, "profile"),
    image("14 bits in 16", lambda: files.deep(16_384), WARN, "dim"),
    image("12 bits, all used", lambda: files.deep(4096), WARN, "mixed")._replace(
        knobs={"data.bits": 12}
    ),
    Case(
        "a mask turned by its tag",
        lambda root: a_mask(root).write_bytes(files.turned_mask(a_mask(root).read_bytes())),
        WARN,
        "turned-mask",
    ),
    image("more bits than said", files.deep, WARN, "clipped")._replace(knobs={"data.bits": 12}),
    image("png of 16 bits", files.deep, WARN, "deep"),
    image(
        "a profile that is none, followed",
        lambda: saved(RGB, icc_profile=bytes(300)),
        SKIP,
        "colours",
    )._replace(knobs={"data.profile": "apply"}),
    image("tiff of 16 bits", lambda: files.deep(kind="TIFF"), WARN, "deep", "bad.tif"),
    image("12 bits in 16", lambda: files.deep(4096), WARN, "dim"),
    image("jpeg for print", lambda: saved(RGB.convert("CMYK"), "JPEG"), WARN, "cmyk", "bad.jpg"),
    image("tiff for print", lambda: saved(RGB.convert("CMYK"), "TIFF"), WARN, "cmyk", "bad.tif"),
    image("transparent colours", lambda: saved(transparent()), WARN, "alpha"),
    image("transparent greys", lambda: saved(transparent().convert("LA")), WARN, "alpha"),
    image(
        "transparent palette",
        lambda: saved(RGB.convert("P"), transparency=bytes(range(256))),
        WARN,
        "alpha",
    ),
    image("one transparent colour", lambda: saved(RGB.convert("P"), transparency=3), WARN, "alpha"),
    image(
        "animated png",
        lambda: saved(RGB, save_all=True, append_images=[RGB.rotate(90)]),
        WARN,
        "frames",
    ),
    image(
        "tiff of two pages",
        lambda: saved(RGB, "TIFF", save_all=True, append_images=[RGB.rotate(90)]),
        WARN,
        "frames",
        "bad.tif",
    ),
    image(
        "two jpegs in one",
        lambda: saved(RGB, "MPO", save_all=True, append_images=[RGB.rotate(90)]),
        WARN,
        "frames",
        "bad.jpg",
    ),
    image("a jpeg called png", lambda: saved(RGB, "JPEG"), WARN, "ending"),
    image("a png called jpg", lambda: saved(RGB), WARN, "ending", "bad.jpg"),
    image("a bmp called tif", lambda: saved(RGB, "BMP"), WARN, "ending", "bad.tif"),
    image(
        "20,000 pixels wide", lambda: saved(Image.fromarray(pixels(7, (40, 20_000)))), WARN, "shape"
    ),
    image(
        "20,000 pixels high", lambda: saved(Image.fromarray(pixels(8, (20_000, 40)))), WARN, "shape"
    ),
    image("hardly any contrast", lambda: saved(Image.fromarray(pixels(9) % 5 + 90)), WARN, "flat"),
    Case(
        "the same image twice",
        lambda root: train_file(root).write_bytes(train_file(root, "0000.png").read_bytes()),
        WARN,
        "duplicate",
    ),
    Case(
        "a training image among the test images",
        lambda root: (root / "bolt/test/good/bad.png").write_bytes(
            train_file(root, "0000.png").read_bytes()
        ),
        WARN,
        "leaked",
    ),
]

KINDS = {"PNG": "bad.png", "JPEG": "bad.jpg", "BMP": "bad.bmp", "TIFF": "bad.tif"}
CUT = [
    image(
        f"{kind.lower()} cut at {share:.0%}",
        lambda kind=kind, share=share: saved(RGB, kind)[: int(share * len(saved(RGB, kind)))],
        SKIP,
        "cut",
        file,
    )
    for kind, file in KINDS.items()
    for share in (0.25, 0.5, 0.75, 0.9)
]
FOREIGN = [
    image(name, lambda content=content: content, SKIP, "format")
    for name, content in {
        "one byte": b"\x89",
        "text": b"no image here\n" * 50,
        "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
        "zeros": bytes(4096),
        "a zip": b"PK\x03\x04" + bytes(99),
        "a pdf": b"%PDF-1.7\n" + bytes(99),
        "eight bytes of a png": saved(RGB)[:8],
        "a png with its first byte lost": saved(RGB)[1:],
        "a png through a text-mode copy": saved(RGB).replace(b"\r\n", b"\n", 1),
        "a gif": saved(RGB, "GIF"),
        "a webp": saved(RGB, "WEBP"),
        "an icon": saved(RGB, "ICO"),
        "a ppm": saved(RGB, "PPM"),
    }.items()
]
BROKEN = [
    image("png of no width", lambda: files.png(0, 9), SKIP, "format"),
    image("png without data", lambda: files.png(9, 9), SKIP, "cut"),
    image(
        "png whose data is noise", lambda: files.png(24, 20, data=pixels(3).tobytes()), SKIP, "cut"
    ),
    image(
        "png with too little data",
        lambda: files.png(24, 20, data=zlib.compress(ROWS[:300])),
        SKIP,
        "cut",
    ),
    image(
        "png with a bit flipped in its data", lambda: files.flipped(saved(RGB), 100), SKIP, "cut"
    ),
    image(
        "png with a bit flipped in its header",
        lambda: files.flipped(saved(RGB), 19),
        SKIP,
        "format",
    ),
    image(
        "png of 3 bits", lambda: files.png(24, 20, bits=3, data=zlib.compress(ROWS)), SKIP, "format"
    ),
    image(
        "jpeg without a frame",
        lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9",
        SKIP,
        "format",
        "bad.jpg",
    ),
    image(
        "jpeg of 12 bits",
        lambda: saved(RGB, "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
        SKIP,
        "format",
        "bad.jpg",
    ),
    image("bmp of no height", lambda: files.bmp_claiming(24, 0), SKIP, "format", "bad.bmp"),
    image("bmp that claims more", lambda: files.bmp_claiming(2000, 2000), SKIP, "cut", "bad.bmp"),
    image(
        "tiff whose strips lie outside",
        lambda: files.grey_tiff(32, 32, (273, 4, 1, 10**9)),
        SKIP,
        "cut",
        "bad.tif",
    ),
    image(
        "tiff of a method nobody knows",
        lambda: files.grey_tiff(32, 32, (259, 3, 1, 60_000)),
        SKIP,
        "format",
        "bad.tif",
    ),
    image(
        "tiff of 77 bits",
        lambda: files.grey_tiff(32, 32, (258, 3, 1, 77)),
        SKIP,
        "format",
        "bad.tif",
    ),
    image(
        "tiff of 60,000 tags",
        lambda: struct.pack("<2sHIH", b"II", 42, 8, 60_000),
        SKIP,
        "cut",
        "bad.tif",
    ),
    image(
        "tiff of 32-bit floats",
        lambda: saved(Image.fromarray(np.random.default_rng(0).random(SIDE, np.float32)), "TIFF"),
        SKIP,
        "depth",
        "bad.tif",
    ),
    image(
        "tiff of NaN",
        lambda: saved(Image.fromarray(np.full(SIDE, np.nan, np.float32)), "TIFF"),
        SKIP,
        "depth",
        "bad.tif",
    ),
    image(
        "tiff of 32-bit integers",
        lambda: saved(Image.fromarray(pixels(3, SIDE).astype(np.int32)), "TIFF"),
        SKIP,
        "depth",
        "bad.tif",
    ),
    image("1 x 1", lambda: saved(RGB.crop((0, 0, 1, 1))), SKIP, "small"),
    image("8 x 8", lambda: saved(RGB.crop((0, 0, 8, 8))), SKIP, "small"),
    image("1 x 1,000", lambda: saved(Image.fromarray(pixels(3, (1000, 1, 3)))), SKIP, "small"),
    *(
        image(
            f"all {name}",
            lambda value=value: saved(Image.new("RGB", (64, 64), value)),
            SKIP,
            "constant",
        )
        for name, value in (("black", (0, 0, 0)), ("white", (255, 255, 255)), ("red", (200, 0, 0)))
    ),
    image(
        "all one grey of 16 bits",
        lambda: saved(Image.fromarray(np.full((64, 64), 999, np.uint16))),
        SKIP,
        "constant",
    ),
    image("zero bytes", lambda: b"", SKIP, "empty"),
]
BOMBS = [
    image("13,000 x 13,000 in 20 KB", lambda: files.png_bomb(13_000), SKIP, "bomb"),
    *(
        image(
            f"png that claims {side:,} a side",
            lambda side=side: files.png(side, side, bits=1, colour=0),
            SKIP,
            "bomb",
        )
        for side in (6_400, 9_500, 20_000, 65_535, 2**31 - 1)
    ),
    image("png that claims 40,000,001 x 1", lambda: files.png(40_000_001, 1), SKIP, "bomb"),
    image(
        "jpeg that claims 65,500 a side",
        lambda: files.jpeg_claiming(65_500, 65_500),
        SKIP,
        "bomb",
        "bad.jpg",
    ),
    image(
        "bmp that claims 30,000 a side",
        lambda: files.bmp_claiming(30_000, 30_000),
        SKIP,
        "bomb",
        "bad.bmp",
    ),
    image(
        "tiff that claims 60,000 a side",
        lambda: files.grey_tiff(60_000, 60_000),
        SKIP,
        "bomb",
        "bad.tif",
    ),
    image(
        "tiff with a tile of 60,000 a side",
        lambda: files.tiled_tiff(60_000),
        SKIP,
        "bomb",
        "bad.tif",
    ),
    image("jpeg of a thousand scans", lambda: files.scans_bomb(1000), SKIP, "bomb", "bad.jpg"),
    image("png with 200 MB of text", lambda: files.text_bomb(b"zTXt"), SKIP, "cut"),
]


def _pipe(root: Path) -> None:
    os.mkfifo(train_file(root))


def _socket(root: Path) -> None:
    here = os.getcwd()
    os.chdir(train_file(root).parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("bad.png")
    finally:
        os.chdir(here)


def _sparse(root: Path) -> None:
    with train_file(root).open("wb") as file:
        file.truncate(5 * 2**30)


def _by_bytes(name: bytes) -> Callable[[Path], object]:
    def build(root: Path) -> None:
        folder = os.fsencode(train_file(root).parent)
        with open(folder + b"/" + name, "wb") as file:
            file.write(saved(RGB))

    return build


FILES = [
    Case("a folder called x.png", lambda root: train_file(root).mkdir(), SKIP, "kind"),
    Case("a pipe called x.png", _pipe, SKIP, "kind"),
    Case("a socket called x.png", _socket, SKIP, "kind"),
    Case(
        "a device called x.png", lambda root: train_file(root).symlink_to("/dev/zero"), SKIP, "kind"
    ),
    Case(
        "a file with more in it than its size says",
        lambda root: train_file(root).symlink_to("/proc/uptime"),
        SKIP,
        "changed",
    ),
    Case("a link to a folder", lambda root: train_file(root).symlink_to(root), SKIP, "kind"),
    Case(
        "a link that leads nowhere",
        lambda root: train_file(root).symlink_to("gone"),
        SKIP,
        "missing",
    ),
    Case(
        "a link that leads to itself",
        lambda root: train_file(root).symlink_to("bad.png"),
        SKIP,
        "missing",
    ),
    Case(
        "a file that may not be read",
        lambda root: (train_file(root).write_bytes(saved(RGB)), train_file(root).chmod(0)),
        SKIP,
        "unreadable",
        "ordinary user",
    ),
    Case("five gigabytes", _sparse, SKIP, "large"),
    Case("a line break in a name", _by_bytes(b"a\nb.png"), SKIP, "name"),
    Case("a name that is no Unicode", _by_bytes(b"\xff\xfe.png"), SKIP, "name"),
    Case("an escape sequence in a name", _by_bytes(b"\x1b[2J.png"), SKIP, "name"),
]

IMAGES = [*USED, *WARNED, *CUT, *FOREIGN, *BROKEN, *BOMBS, *FILES]
