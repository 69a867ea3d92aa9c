"""A picture turned about its middle, in its own frame, and what of it is left there.

Only the picture is turned: its height and width stay, what leaves them is lost, and what the
picture does not fill any more has its mean colour and counts as no part of it. Quarter turns of a
square lose and leave nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image


def turned_by(image: Image.Image, degrees: int) -> Image.Image:
    """An RGB image turned counter-clockwise."""
    if not degrees:
        return image
    mean = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=mean)


def mask_turned_by(mask: np.ndarray, degrees: int) -> np.ndarray:
    """A mask (H, W) bool turned likewise; False where nothing of it is."""
    image = Image.fromarray(mask.astype(np.uint8)).rotate(degrees, Image.Resampling.NEAREST)
    return np.asarray(image) > 0


@lru_cache(maxsize=16)
def filled_by(size: tuple[int, int], degrees: int) -> np.ndarray:
    """(H, W) bool: where a picture of this size (H, W) is, once it is turned."""
    found = mask_turned_by(np.ones(size, bool), degrees)
    found.flags.writeable = False
    return found


def before(
    y: np.ndarray, x: np.ndarray, size: tuple[int, int], degrees: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where what a turned picture of `size` (H, W) shows at pixels (y, x) was before the turn."""
    angle, (middle_y, middle_x) = -math.radians(degrees), (side / 2 for side in size)
    down, right = y - middle_y, x - middle_x
    return (
        middle_y - math.sin(angle) * right + math.cos(angle) * down,
        middle_x + math.cos(angle) * right + math.sin(angle) * down,
    )
