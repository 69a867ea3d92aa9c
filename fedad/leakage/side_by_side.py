"""Crops as they are, as they were decoded, and the mean crop, in one picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from fedad.leakage.crops import CROP

DRAWN, BEST = 12, 6  # rows that are shown: some at random, and those that come out best
SCALE, GAP, HEAD = 3, 6, 16  # pixels of a pixel, between pictures, for words
WAYS = ("as it is", "as decoded", "mean crop")


def side_by_side(crops: np.ndarray, drawn: np.ndarray) -> bytes:
    """A PNG: three columns a row, random rows on the left and the best on the right.

    Args:
        crops: (n, 3072) as they are, 0 to 1.
        drawn: (n, 3072) as decoded.
    """
    some = np.random.default_rng(0).permutation(len(crops))[:DRAWN]
    best = np.square(drawn - crops).mean(1).argsort(kind="stable")[:BEST]
    blocks = [("drawn at random", some[: DRAWN // 2]), ("", some[DRAWN // 2 :]), ("best", best)]
    blocks = [(name, rows) for name, rows in blocks if len(rows)]
    side, high = SCALE * CROP + GAP, max(len(rows) for _, rows in blocks)
    wide = len(WAYS) * side + 2 * GAP
    sheet = Image.new("RGB", (len(blocks) * wide, 2 * HEAD + high * side + GAP), "white")
    words = ImageDraw.Draw(sheet)
    middle = crops.mean(0)
    for number, (name, rows) in enumerate(blocks):
        words.text((number * wide + GAP, 2), name, fill="black")
        for column, way in enumerate(WAYS):
            left = number * wide + GAP + column * side
            words.text((left, HEAD), way, fill="black")
            for place, row in enumerate(rows):
                shown = (crops[row], drawn[row], middle)[column]
                sheet.paste(_picture(shown), (left, 2 * HEAD + place * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _picture(crop: np.ndarray) -> Image.Image:
    pixels = (crop.reshape(CROP, CROP, 3).clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels).resize((SCALE * CROP,) * 2, Image.Resampling.NEAREST)
