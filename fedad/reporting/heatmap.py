"""One picture a verdict: the image, its map at one fixed scale, the mask.

The scale of a category comes from the model alone, so it is the same at every site and for every
image: a map is never stretched to its own range, which would paint good parts red.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from fedad.images.pixels import read_image
from fedad.judging.verdicts import Verdict

Scores = TypeVar("Scores", float, np.ndarray)
Scale = tuple[float, float]  # the scores at the two ends of the colours
SIDE = 320  # pixels of a panel's longer side
# Dark blue over white to dark red, even in lightness on both sides of the middle: readable without
# colour vision. With a bank the middle is where patches are as far from it as its rows are apart.
_STOPS = np.array(
    [[5, 48, 97], [67, 147, 195], [209, 229, 240], [253, 219, 199], [214, 96, 77], [103, 0, 31]],
    np.float64,
)


def colours(scores: np.ndarray, scale: Scale) -> np.ndarray:
    """A map (H, W) as (H, W, 3) uint8; scores beyond the scale have the colour of its end."""
    at = relative(scores, scale).clip(0, 1) * (len(_STOPS) - 1)
    low = np.minimum(at.astype(int), len(_STOPS) - 2)
    share = at - low
    made = np.empty((*scores.shape, 3), np.uint8)
    for colour, stops in enumerate(_STOPS.T.copy()):  # one by one takes a quarter of the time
        made[..., colour] = np.rint(stops[low] * (1 - share) + stops[low + 1] * share)
    return made


def relative(scores: Scores, scale: Scale) -> Scores:
    """Scores as shares of the way from the low to the high end of a scale."""
    low, high = scale
    return (scores - low) / (high - low)


def draw(verdict: Verdict, scale: Scale) -> Image.Image:
    """Image, map over the grey image, and image with the mask's outline, side by side; what there
    is to say of it stands beside it."""
    image = read_image(verdict.sample.path, verdict.sample.reading)
    pixels = np.asarray(image)
    grey = np.asarray(image.convert("L"))[..., None]
    mixed = 0.4 * grey + 0.6 * colours(verdict.scored.map, scale)
    panels = [pixels, mixed.astype(np.uint8), _outlined(pixels, verdict)]
    width, height = image.size
    shrink = SIDE / max(width, height)
    size = (round(width * shrink), round(height * shrink))
    picture = Image.new("RGB", (3 * size[0] + 16, size[1]), "white")
    for number, panel in enumerate(panels):
        part = Image.fromarray(panel).resize(size, Image.Resampling.BILINEAR)
        picture.paste(part, (number * (size[0] + 8), 0))
    return picture


def _outlined(pixels: np.ndarray, verdict: Verdict) -> np.ndarray:
    """The image with every region's border in green, two pixels wide inside the region."""
    marked = pixels.copy()
    for region in verdict.scored.regions or ():
        marked[region.mask & ~binary_erosion(region.mask, iterations=2)] = (0, 220, 60)
    return marked
