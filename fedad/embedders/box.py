"""What every image of a run is brought to: the box, the canvas around it, and their names.

The box is `embedder.size`. With `embedder.fit = pad` an image keeps its proportions and fills the
box from the upper left; with `stretch` it fills all of it. In tiles the canvas is the box with both
sides rounded up to a multiple of `STEP`, so that tiles begin where the network's strides do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from fedad.config import Config, EmbedderKnobs
from fedad.errors import DataError
from fedad.plumbing.sides import STEP, also_of, sides_of

NAMED = re.compile(
    r"(\d+)x(\d+)(, padded)?(?:, in tiles of (\d+) overlapping by (\d+))?"
    r"(?:, joined with (\d+(?:x\d+)?(?:,\d+(?:x\d+)?)*))?"
)
BAND = 256  # rows of an image that are copied at a time


@dataclass(frozen=True)
class Box:
    """`size` (H, W) that an image is brought to, and the `canvas` (H, W) that it stands on."""

    size: tuple[int, int]
    canvas: tuple[int, int]
    pads: bool

    @property
    def is_full(self) -> bool:
        """Whether an image always fills its canvas."""
        return not self.pads and self.size == self.canvas

    def filled(self, image: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the canvas that an image of this (H, W) fills, from the upper left."""
        if not self.pads:
            return self.size
        scale = min(box / side for box, side in zip(self.size, image, strict=True))
        height, width = (max(1, round(scale * side)) for side in image)
        return height, width

    def prepare(self, image: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
        """An RGB image on its canvas (H, W, 3) uint8; nothing is cropped."""
        height, width = self.filled((image.height, image.width))
        if (image.width, image.height) != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        if (height, width) == self.canvas:
            return np.asarray(image)
        canvas = np.empty((*self.canvas, 3), np.uint8)
        canvas[:] = background
        for at in range(0, height, BAND):  # so that a large image is not there once more
            end = min(at + BAND, height)
            canvas[at:end, :width] = np.asarray(image.crop((0, at, width, end)))
        return canvas


def box_of(knobs: EmbedderKnobs) -> Box:
    """The box that the knobs ask for."""
    size = sides_of(knobs.size)
    height, width = (-(-side // STEP) * STEP for side in size)
    return Box(size, (height, width) if knobs.tile else size, knobs.fit == "pad")


def each_size(knobs: EmbedderKnobs) -> tuple[EmbedderKnobs, ...]:
    """The knobs of each size that images are embedded at, that of `embedder.size` first."""
    return tuple(replace(knobs, size=size, also="") for size in (knobs.size, *also_of(knobs.also)))


def name_of(knobs: EmbedderKnobs) -> int | str:
    """What a fingerprint says of it: a stretched square seen at once, at one size, is its side."""
    if knobs.fit == "stretch" and not knobs.tile and not knobs.also:
        return knobs.size
    height, width = sides_of(knobs.size)
    tiles = f", in tiles of {knobs.tile} overlapping by {knobs.overlap}" if knobs.tile else ""
    joined = f", joined with {knobs.also}" if knobs.also else ""
    return f"{width}x{height}{', padded' if knobs.fit == 'pad' else ''}{tiles}{joined}"


def knobs_named(name: int | str) -> dict[str, Any]:
    """The knobs of `embedder` that a fingerprint's size names.

    Raises:
        DataError: it is no such name.
    """
    if isinstance(name, int):
        return {"size": name, "also": "", "fit": "stretch", "tile": 0}
    if not (found := NAMED.fullmatch(name)):
        raise DataError(f"images of size {name!a:.80}: expected one such as 5000x200")
    width, height, padded, tile, overlap, also = found.groups()
    named: dict[str, Any] = {
        "size": int(width) if width == height else f"{width}x{height}",
        "also": also or "",
        "fit": "pad" if padded else "stretch",
        "tile": int(tile or 0),
    }
    return named | ({"overlap": int(overlap)} if tile else {})


def leaving_out(config: Config) -> str:
    """The knob, with its value, by which some patches of an image are not valid; empty: all are."""
    embedder = config.embedder
    if config.data.roi:
        return f"data.roi = {config.data.roi!r}"
    if embedder.fit == "pad":
        return f"embedder.fit = {embedder.fit!r}"
    if embedder.tile and not box_of(embedder).is_full:
        return f"embedder.size = {embedder.size!r} in tiles, whose sides are no multiple of {STEP}"
    return ""
