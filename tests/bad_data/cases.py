"""What a case of bad data is, and the good plant that each is put into."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

GOOD_IMAGES = 24  # of each kind, so that one bad file is within a budget of 5 %
SIDE = (20, 24)  # H, W
VALUE = 255
ENTRY = {
    "defect_name": "blot",
    "pixel_value": VALUE,
    "saturation_threshold": 0.5,
    "relative_saturation": True,
}

USE, WARN, SKIP, REFUSE = "use", "use with a warning", "skip and count", "refuse the site"


class Case(NamedTuple):
    """One thing that goes wrong: `build` does it to a good plant; then the rule and its word.

    `read` is how the folder is then read: as one "plant"'s own, by its "sites.csv", or as an
    "ordinary user" whom file modes keep out.
    """

    name: str
    build: Callable[[Path], object]  # gets the plant's folder, which holds the category `bolt`
    rule: str
    reason: str = ""
    read: str = "plant"
    knobs: Mapping[str, object] = MappingProxyType({})


def pixels(seed: int, shape: tuple[int, ...] = (*SIDE, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def draw_plant(root: Path) -> Path:
    """24 good training images, 24 good and 24 defective test images of one product at one site."""
    bolt, listed = root / "bolt", ["file,site"]
    for number, place in enumerate(("train/good", "test/good", "test/blot")):
        (bolt / place).mkdir(parents=True)
        for k in range(GOOD_IMAGES):
            file = f"{place}/{k:04d}.png"
            Image.fromarray(pixels(1000 + 100 * number + k)).save(bolt / file)
            listed.append(f"{file},lyon")
    for k in range(GOOD_IMAGES):
        truth = bolt / "ground_truth" / "blot" / f"{k:04d}"
        truth.mkdir(parents=True)
        mask = np.zeros(SIDE, np.uint8)
        mask[3 : 5 + k % 7, 4:9] = VALUE
        Image.fromarray(mask).save(truth / "0000.png")
    (bolt / "sites.csv").write_text("\n".join(listed) + "\n")
    (bolt / "defects_config.json").write_text(json.dumps([ENTRY]))
    return root


def copied(plant: Path, into: Path) -> Path:
    """A copy that a case may break; good files are shared with the original, and never written."""
    return shutil.copytree(plant, into, symlinks=True)


def train_file(root: Path, name: str = "bad.png") -> Path:
    return root / "bolt" / "train" / "good" / name


def a_mask(root: Path) -> Path:
    """The mask of one defective image, there already."""
    return root / "bolt" / "ground_truth" / "blot" / "0007" / "0000.png"
