"""Masks, folders and tables that are wrong, and what becomes of the site."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tests.bad_data import files
from tests.bad_data.cases import (
    ENTRY,
    REFUSE,
    SIDE,
    SKIP,
    USE,
    VALUE,
    WARN,
    Case,
    a_mask,
    pixels,
    train_file,
)
from tests.bad_data.files import RGB, saved


def spot(value: int = VALUE, shape: tuple[int, ...] = SIDE, dtype: type = np.uint8) -> Image.Image:
    levels = np.zeros(shape, dtype)
    levels[3:9, 4:9] = value
    return Image.fromarray(levels)


def mask(name: str, content: Callable[[], bytes], rule: str, reason: str = "") -> Case:
    return Case(f"mask {name}", lambda root: _replace(a_mask(root), content()), rule, reason)


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _nothing_but(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def two_values() -> Image.Image:
    levels = np.asarray(spot()).copy()
    levels[15:18, 10:12] = 77
    return Image.fromarray(levels)


MASKS = [
    mask("in colour", lambda: saved(spot().convert("RGB")), USE),
    mask("in colour with alpha", lambda: saved(spot().convert("RGBA")), USE),
    mask("of a palette", lambda: saved(spot().convert("P")), USE),
    mask("of one bit", lambda: saved(spot().convert("1")), USE),
    mask("as tiff under png", lambda: saved(spot(), "TIFF"), USE),
    mask("smaller than its image", lambda: saved(spot(shape=(19, 24))), SKIP, "mask-size"),
    mask("turned", lambda: saved(spot().transpose(Image.Transpose.ROTATE_90)), SKIP, "mask-size"),
    mask("of 1 x 1", lambda: saved(Image.new("L", (1, 1), 255)), SKIP, "mask-size"),
    mask("without a defect", lambda: saved(spot(0)), SKIP, "mask-value"),
    mask("of two values", lambda: saved(two_values()), SKIP, "mask-value"),
    mask("with a value nobody defined", lambda: saved(spot(77)), SKIP, "mask-value"),
    mask(
        "with soft edges",
        lambda: saved(spot().resize(SIDE[::-1], Image.Resampling.BICUBIC, (0, 0, 20, 17))),
        SKIP,
        "mask-value",
    ),
    mask("as jpeg", lambda: saved(spot(), "JPEG", quality=40), SKIP, "mask-value"),
    mask("of noise", lambda: saved(Image.fromarray(pixels(3, SIDE))), SKIP, "mask-value"),
    mask("of 16 bits", lambda: saved(spot(65_535, dtype=np.uint16)), SKIP, "mask-value"),
    mask(
        "of NaN",
        lambda: saved(Image.fromarray(np.full(SIDE, np.nan, np.float32)), "TIFF"),
        SKIP,
        "mask-file",
    ),
    mask(
        "of 32-bit integers", lambda: saved(spot(VALUE, dtype=np.int32), "TIFF"), SKIP, "mask-file"
    ),
    mask("cut short", lambda: saved(Image.fromarray(pixels(3, SIDE)))[:200], SKIP, "mask-file"),
    mask("of zero bytes", lambda: b"", SKIP, "mask-file"),
    mask("of text", lambda: b"no mask", SKIP, "mask-file"),
    mask("of 13,000 x 13,000 in 20 KB", lambda: files.png_bomb(13_000), SKIP, "mask-file"),
    Case(
        "mask that is a folder",
        lambda root: _nothing_but(a_mask(root), Path.mkdir),
        SKIP,
        "mask-file",
    ),
    Case(
        "mask that leads nowhere",
        lambda root: _nothing_but(a_mask(root), lambda path: path.symlink_to("gone")),
        SKIP,
        "mask-file",
    ),
    Case(
        "mask of two readings",
        lambda root: a_mask(root).with_name("0001.png").write_bytes(saved(spot())),
        USE,
    ),
    Case(
        "mask that marks the background",
        lambda root: ImageOps.invert(Image.open(a_mask(root))).save(a_mask(root)),
        WARN,
        "inverted",
    ),
    Case("mask that is missing", lambda root: a_mask(root).unlink(), WARN, "no-mask"),
    Case(
        "mask folder that is missing",
        lambda root: shutil.rmtree(a_mask(root).parent),
        WARN,
        "no-mask",
    ),
    Case(
        "mask of a good image",
        lambda root: _put(root / "bolt/ground_truth/good/0000/0000.png", saved(spot())),
        WARN,
        "spare-mask",
    ),
    Case(
        "mask of no image",
        lambda root: _put(root / "bolt/ground_truth/blot/9999/0000.png", saved(spot())),
        WARN,
        "spare-mask",
    ),
]


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _only(folder: Path, count: int) -> None:
    for path in sorted(folder.iterdir())[count:]:
        path.unlink()


def _spoil(folder: Path, count: int) -> None:
    for path in sorted(folder.iterdir())[:count]:
        _replace(path, b"cut")


def _lost_product(root: Path) -> None:
    """A second product whose one training image is broken: 1 of 25 is within the budget."""
    _put(root / "nut/train/good/0000.png", b"cut")
    _put(root / "nut/test/good/0000.png", saved(RGB))


def _unreadable(root: Path) -> None:
    (root / "bolt" / "train" / "good").chmod(0)


def _bytes_folder(root: Path) -> None:
    os.makedirs(os.fsencode(root / "bolt" / "test") + b"/\xff\xfe")


FOLDERS = [
    Case("no folder at all", shutil.rmtree, REFUSE, "tree"),
    Case("an empty folder", lambda root: shutil.rmtree(root / "bolt"), REFUSE, "tree"),
    Case(
        "a file in place of the folder",
        lambda root: (shutil.rmtree(root), root.write_text("")),
        REFUSE,
        "tree",
    ),
    Case(
        "folders in capitals",
        lambda root: [
            (root / "bolt" / n).rename(root / "bolt" / n.title()) for n in ("train", "test")
        ],
        REFUSE,
        "tree",
    ),
    Case(
        "a product without an image",
        lambda root: (root / "nut/train/good").mkdir(parents=True),
        REFUSE,
        "tree",
    ),
    Case(
        "a product with defects only",
        lambda root: shutil.rmtree(root / "bolt/train"),
        REFUSE,
        "tree",
    ),
    Case(
        "a product of another format only",
        lambda root: _put(root / "nut/train/good/0000.webp", saved(RGB, "WEBP")),
        REFUSE,
        "tree",
    ),
    Case(
        "a root that may not be read", lambda root: root.chmod(0), REFUSE, "tree", "ordinary user"
    ),
    Case("a folder that may not be read", _unreadable, REFUSE, "tree", "ordinary user"),
    Case(
        "a product with a line break in its name",
        lambda root: shutil.copytree(root / "bolt", root / "nut\nbolt"),
        REFUSE,
        "tree",
    ),
    Case("a defect whose name is no Unicode", _bytes_folder, REFUSE, "tree"),
    Case(
        "two broken images of 24",
        lambda root: _spoil(root / "bolt/train/good", 2),
        REFUSE,
        "budget",
    ),
    Case("all images broken", lambda root: _spoil(root / "bolt/train/good", 24), REFUSE, "budget"),
    Case(
        "three broken test images of 48",
        lambda root: _spoil(root / "bolt/test/blot", 3),
        REFUSE,
        "budget",
    ),
    Case("a product whose only image is broken", _lost_product, REFUSE, "budget"),
    Case(
        "a defect that the config does not know",
        lambda root: _put(
            root / "bolt/defects_config.json", json.dumps([ENTRY | {"pixel_value": 9}]).encode()
        ),
        REFUSE,
        "budget",
    ),
    Case("one training image", lambda root: _only(root / "bolt/train/good", 1), USE),
    Case("no test images", lambda root: shutil.rmtree(root / "bolt/test"), WARN, "spare-mask"),
    Case(
        "good test images only",
        lambda root: (
            shutil.rmtree(root / "bolt/test/blot"),
            shutil.rmtree(root / "bolt/ground_truth"),
        ),
        USE,
    ),
    Case(
        "the doubled folder that unzipping leaves",
        lambda root: (
            (root / "bolt").rename(root / "part"),
            (root / "bolt").mkdir(),
            (root / "part").rename(root / "bolt/bolt"),
        ),
        USE,
    ),
    Case("a folder that leads to itself", lambda root: (root / "again").symlink_to(root), USE),
    Case(
        "a defect folder that leads to the product",
        lambda root: (root / "bolt/test/again").symlink_to(root / "bolt"),
        USE,
    ),
    Case(
        "images of several sizes",
        lambda root: train_file(root).write_bytes(saved(Image.fromarray(pixels(5, (40, 90, 3))))),
        USE,
    ),
    Case(
        "one name with two endings",
        lambda root: train_file(root, "0000.jpg").write_bytes(saved(RGB, "JPEG")),
        USE,
    ),
    Case(
        "notes among the images",
        lambda root: train_file(root, "notes.txt").write_text("angle changed"),
        USE,
    ),
    Case(
        "hidden files of another system",
        lambda root: train_file(root, "._0000.png").write_bytes(b"\0\5\x16\7"),
        WARN,
        "hidden",
    ),
    Case(
        "images of another format",
        lambda root: train_file(root, "0099.webp").write_bytes(saved(RGB, "WEBP")),
        WARN,
        "unread",
    ),
    Case(
        "images in a folder deeper",
        lambda root: _put(root / "bolt/train/good/march/0000.png", saved(RGB)),
        WARN,
        "unread",
    ),
    Case(
        "a defect in a validation split",
        lambda root: _put(root / "bolt/validation/blot/0000.png", saved(RGB)),
        WARN,
        "aside",
    ),
    Case(
        "a picture beside the products",
        lambda root: _put(root / "overview.jpg", saved(RGB, "JPEG")),
        WARN,
        "unread",
    ),
    Case(
        "defects among the training images",
        lambda root: _put(root / "bolt/train/blot/0000.png", saved(RGB)),
        WARN,
        "defects",
    ),
]


def config(name: str, text: str | bytes, rule: str = REFUSE) -> Case:
    content = text.encode() if isinstance(text, str) else text
    reason = "config" if rule == REFUSE else ""
    return Case(
        f"config {name}",
        lambda root: _put(root / "bolt" / "defects_config.json", content),
        rule,
        reason,
    )


def entry(**changed: object) -> str:
    return json.dumps([ENTRY | changed])


CONFIGS = [
    config("of zero bytes", ""),
    config("that is no JSON", "{"),
    config("that is a number", "7"),
    config("of numbers", "[1, 2]"),
    config("that is an object", json.dumps(ENTRY)),
    config("without a value", json.dumps([{k: v for k, v in ENTRY.items() if k != "pixel_value"}])),
    config("with a value in words", entry(pixel_value="white")),
    config("with a value of infinity", '[{"pixel_value": 1e999}]'),
    config("with a threshold of zero", entry(saturation_threshold=0)),
    config(
        "with a threshold below zero", entry(saturation_threshold=-1, relative_saturation=False)
    ),
    config("with a share above one", entry(saturation_threshold=1.5)),
    config(
        "with a threshold that is no number",
        entry(saturation_threshold=float("nan"), relative_saturation=False),
    ),
    config(
        "with an infinite threshold",
        entry(saturation_threshold=float("inf"), relative_saturation=False),
    ),
    config("with a threshold in words", entry(saturation_threshold="half")),
    config("that is nested 100,000 deep", "[" * 100_000),
    config("that is no text", b"\xff\xfe\x00"),
    config("of two megabytes", json.dumps([ENTRY] * 20_000)),
    config(
        "with an absolute threshold", entry(saturation_threshold=9, relative_saturation=False), USE
    ),
    config("with more than is asked for", entry(colour="red"), USE),
    Case(
        "config that is missing",
        lambda root: (root / "bolt/defects_config.json").unlink(),
        WARN,
        "no-config",
    ),
    Case(
        "config that is a folder",
        lambda root: _nothing_but(root / "bolt/defects_config.json", Path.mkdir),
        REFUSE,
        "config",
    ),
]


def table(name: str, change: Callable[[str], str | bytes], rule: str = REFUSE) -> Case:
    def build(root: Path) -> None:
        path = root / "bolt" / "sites.csv"
        changed = change(path.read_text())
        path.write_bytes(changed.encode() if isinstance(changed, str) else changed)

    return Case(f"sites {name}", build, rule, "sites" if rule == REFUSE else "", "sites.csv")


TABLES = [
    table("of zero bytes", lambda text: ""),
    table("with other columns", lambda text: text.replace("site", "plant", 1)),
    table("without an image", lambda text: text.replace("train/good/0003.png,lyon\n", "")),
    table("with an image of no site", lambda text: text.replace("0003.png,lyon", "0003.png,", 1)),
    table("with a line cut short", lambda text: text.replace("0003.png,lyon", "0003.png", 1)),
    table("with an image of two sites", lambda text: text + "train/good/0003.png,graz\n"),
    table("with a site that climbs", lambda text: text.replace("lyon", "../../lyon")),
    table("with a site from the root", lambda text: text.replace("lyon", "/etc")),
    table("with a hidden site", lambda text: text.replace("lyon", ".ssh")),
    table("with a site of 300 letters", lambda text: text.replace("lyon", "x" * 300)),
    table("with an escape sequence", lambda text: text.replace("lyon", "\x1b[2J")),
    table("with a zero byte", lambda text: text.replace("lyon", "ly\0on")),
    table("that is no text", lambda text: b"\xff\xfe\x00\x01"),
    table("with a field of 200,000 letters", lambda text: text + f"{'x' * 200_000},lyon\n"),
    table(
        "with a quote that never ends",
        lambda text: text.replace("train/good/0003", '"train/good/0003'),
    ),
    table("as a spreadsheet saves it", lambda text: "\ufeff" + text.replace("\n", "\r\n"), USE),
    table("with a column more", lambda text: text.replace("\n", ",x\n"), USE),
    table("of images that are gone", lambda text: text + "train/good/9999.png,graz\n", USE),
    Case(
        "sites that is missing",
        lambda root: (root / "bolt/sites.csv").unlink(),
        REFUSE,
        "sites",
        "sites.csv",
    ),
    Case(
        "sites that is a folder",
        lambda root: _nothing_but(root / "bolt/sites.csv", Path.mkdir),
        REFUSE,
        "sites",
        "sites.csv",
    ),
]

TREES = [*MASKS, *FOLDERS, *CONFIGS, *TABLES]
