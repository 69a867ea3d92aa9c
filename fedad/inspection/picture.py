"""A picture in any form that it comes in -> pixels, and places cut out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.images.files import received, strict
from fedad.images.pixels import read_file, rgb, shown
from fedad.inspection.inspection import Box
from fedad.inspection.overlay import CROP
from fedad.types import Reading

Picture = Path | bytes | np.ndarray
"""A file, the bytes of one, or (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """The one image behind some features; see `types.Pixels`."""

    embedder: Embedder
    image: np.ndarray

    def __len__(self) -> int:
        return 1

    def __getitem__(self, image: int) -> np.ndarray:
        return self.image

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        backbone = self.embedder.backbone
        return np.concatenate(
            [backbone(backbone.prepare(Image.fromarray(one))[None]) for one in images]
        )


def path_of(picture: Picture, name: str) -> Path:
    """Where a picture is, or what it is called; bytes and pixels are nowhere."""
    if isinstance(picture, Path):
        return picture
    return Path(name or "picture") if isinstance(picture, bytes) else Path()


def image_of(picture: Picture, path: Path, reading: Reading) -> Image.Image:
    """The picture as it is read, the same from a file and from its bytes.

    Raises:
        BadFileError: no picture that can be read.
        DataError: pixels of another shape.
    """
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise DataError(
                f"a picture of shape {picture.shape} {picture.dtype}: expected (H, W, 3) uint8 RGB"
            )
        return Image.fromarray(picture)
    with strict():
        if isinstance(picture, bytes):
            return rgb(received(picture, path, reading), path, reading)
        return rgb(read_file(path, reading), path, reading)


def cropped(image: Image.Image, place: Box) -> np.ndarray:
    """A place of a picture, as an overlay shows it."""
    box = (place.left, place.top, place.left + place.width, place.top + place.height)
    return np.asarray(image.crop(box).resize((CROP, CROP), Image.Resampling.BILINEAR))


@lru_cache(maxsize=2)  # each may be 120 MB
def own_picture(path: Path, reading: Reading) -> Image.Image:
    """One of the site's own images; shots of one defect are often most like the same one.

    Raises:
        DataError: it is gone, or no picture any more.
    """
    if not path.is_file():
        raise DataError(f"{shown(path)}: it is gone")
    return rgb(read_file(path, reading), path, reading)
