"""One picture a verdict: the image, its map at one fixed scale, the mask.

The scale of a category comes from the bank alone, so it is the same at every site and for every
image: a map is never stretched to its own range, which would paint good parts red.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from fedad.images import read_image
from fedad.judging import Verdict
from fedad.types import Bank

SIDE = 320  # pixels of a panel's longer side
ROWS = 512  # rows of a bank that its scale is measured on
# Dark blue over white to dark red, even in lightness on both sides of the middle: readable without
# colour vision. The middle is where patches are as far from the bank as its rows are apart.
_STOPS = np.array(
    [[5, 48, 97], [67, 147, 195], [209, 229, 240], [253, 219, 199], [214, 96, 77], [103, 0, 31]],
    np.float64,
)


def scale_of(bank: Bank) -> dict[str, float]:
    """Category -> the score at the top of its colours: twice the usual gap between normal rows.

    The gap is the median distance of a row to the nearest other row of its category, over at most
    512 rows spread evenly over the order of selection.
    """
    scales = {}
    for number, category in enumerate(bank.categories):
        rows = bank.rows[bank.category == number]
        some = np.unique(np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int))
        gaps = [np.sort(np.linalg.norm(rows - rows[at], axis=1))[1:2].sum() for at in some]
        scales[category] = 2 * float(np.median(gaps)) or 1.0
    return scales


def colours(scores: np.ndarray, top: float) -> np.ndarray:
    """A map (H, W) as (H, W, 3) uint8, from 0 to `top`."""
    at = np.clip(scores / top, 0, 1) * (len(_STOPS) - 1)
    low = np.minimum(at.astype(int), len(_STOPS) - 2)
    share = (at - low)[..., None]
    return np.rint(_STOPS[low] * (1 - share) + _STOPS[low + 1] * share).astype(np.uint8)


def draw(verdict: Verdict, top: float, caption: str) -> Image.Image:
    """Image, map over the grey image, and image with the mask's outline, side by side."""
    image = read_image(verdict.sample.path)
    pixels = np.asarray(image)
    grey = np.asarray(image.convert("L"))[..., None]
    mixed = 0.4 * grey + 0.6 * colours(verdict.scored.map, top)
    panels = [pixels, mixed.astype(np.uint8), _outlined(pixels, verdict)]
    width, height = image.size
    scale = SIDE / max(width, height)
    size = (round(width * scale), round(height * scale))
    picture = Image.new("RGB", (3 * size[0] + 16, size[1] + 22), "white")
    for number, panel in enumerate(panels):
        part = Image.fromarray(panel).resize(size, Image.Resampling.BILINEAR)
        picture.paste(part, (number * (size[0] + 8), 0))
    ImageDraw.Draw(picture).text((2, size[1] + 5), caption, fill="black")
    return picture


def _outlined(pixels: np.ndarray, verdict: Verdict) -> np.ndarray:
    """The image with every region's border in green, two pixels wide inside the region."""
    marked = pixels.copy()
    for region in verdict.scored.regions or ():
        marked[region.mask & ~binary_erosion(region.mask, iterations=2)] = (0, 220, 60)
    return marked
