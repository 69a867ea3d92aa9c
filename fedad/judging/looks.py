"""Is this a picture that can be judged? What is measured of a whole image, and its limits.

Three things make a picture worth taking again rather than a part worth stopping: it is too dark, it
is blurred, or it shows something else than the product. Each has one figure, and the limit of each
comes from good images of the plant alone:

- `light`: the mean grey value; below `DARK` of the darkest good image it is too dark.
- `sharpness`: how much there is between one and two pixels of the network's canvas, over how much
  between two and eight. A lamp does not change it. Below `DULL` of the least sharp good image it is
  blurred. A blur that the canvas does not show is none for the network either.
- `middle`: the median of the patch scores: how odd the picture is in half of its places. A defect
  is odd in a few. Above the largest of good images by `STRANGE` times what that is above the usual
  one, and by at least `LEAST` of it, it is another product, or no picture of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from fedad.config import Config
from fedad.images.pixels import read_image
from fedad.judging.verdicts import features_for
from fedad.messages.payload import Payload
from fedad.methods.base import Forgetting, Preparing, method_of
from fedad.types import Sample, Site

if TYPE_CHECKING:  # who only reads limits needs no network in memory
    from PIL import Image

    from fedad.embedders.embedder import Embedder

DARK, DULL = 0.5, 0.6  # of the least of good images
STRANGE, LEAST = 3.0, 0.5
ENOUGH = 24  # good images of a product that limits of pictures as a whole rest on, at least
TOO_DARK, BLURRED, STRANGER = "too dark", "blurred", "not this product"
GREY = np.array([0.299, 0.587, 0.114], np.float32)


class Look(NamedTuple):
    """What is measured of an image as a whole; see the module."""

    light: float
    sharpness: float
    middle: float


@dataclass(frozen=True)
class Looks:
    """The limits of a product's images, and how many good images they rest on."""

    darkest: float
    dullest: float
    strangest: float
    images: int

    @classmethod
    def of(cls, good: Sequence[Look]) -> Looks:
        """The limits that good images give."""
        light, sharpness, middle = np.array(good, float).T
        largest, usual = float(middle.max()), float(np.median(middle))
        beyond = max(STRANGE * (largest - usual), LEAST * abs(largest))
        return cls(DARK * light.min(), DULL * sharpness.min(), largest + beyond, len(good))

    def why_again(self, look: Look) -> str:
        """Why a picture of this look is to be taken again; empty: it can be judged."""
        if look.light < self.darkest:
            return TOO_DARK
        if look.sharpness < self.dullest:
            return BLURRED
        return STRANGER if look.middle > self.strangest else ""


def look_of(canvas: np.ndarray, patches: np.ndarray) -> Look:
    """What is measured of an image.

    Args:
        canvas: (H, W, 3) uint8, what the network was given of the image, without padding.
        patches: (h, w) float32, or those of them that count: their scores.
    """
    grey = canvas.astype(np.float32) @ GREY
    fine = grey - gaussian_filter(grey, 1)
    broad = gaussian_filter(grey, 2) - gaussian_filter(grey, 4)
    sharpness = float(fine.std()) / max(float(broad.std()), 1e-3)
    return Look(float(grey.mean()), sharpness, float(np.median(patches)) if patches.size else 0.0)


def seen(embed: Embedder, image: Image.Image) -> np.ndarray:
    """What the network is given of an image (H, W, 3) uint8, without padding; where it sees several
    sizes, the first of them."""
    from fedad.embedders.box import box_of

    box = box_of(embed.knobs)
    height, width = box.filled((image.height, image.width))
    return box.prepare(image, (0, 0, 0))[:height, :width]


def looks_of(
    embed: Embedder, samples: Sequence[Sample], maps: np.ndarray, valid: np.ndarray | None
) -> Iterator[Look]:
    """The look of each sample, by its patch scores (B, h, w) and which of them count."""
    for number, sample in enumerate(samples):
        patches = maps[number] if valid is None else maps[number][valid[number]]
        yield look_of(seen(embed, read_image(sample.path, sample.reading)), patches)


def good_looks(
    config: Config, site: Site, embed: Embedder, model: Payload, own: Payload | None
) -> dict[str, list[Look]]:
    """By product, what is measured of up to `ENOUGH` of a site's good images: of those that nothing
    was learned from, and where there are none, of training images by a model without their part."""
    method, found = method_of(config), dict[str, list[Look]]()
    images = [(sample, list[int]()) for sample in site.held]
    if isinstance(method, Forgetting) and own is not None:
        held = {sample.category for sample in site.held}
        parts: dict[str, list[int]] = {}
        for number, sample in enumerate(site.train):
            parts.setdefault(sample.part, []).append(number)
        images += [(s, parts[s.part]) for s in site.train if s.category not in held]
    opened = method.prepared(model, own) if isinstance(method, Preparing) else method
    for sample, numbers in _some(images):
        features = features_for(method, embed, [sample])
        judge, rest, mine = opened, model, own
        if numbers and isinstance(method, Forgetting):
            judge = method
            rest, mine = method.without_images(model, own, site.name, numbers)
        if not method.judges(rest, sample.category):
            continue
        maps, _ = judge.score(rest, features, own=mine)
        found.setdefault(sample.category, []).extend(
            looks_of(embed, [sample], maps, features.valid)
        )
    return found


def _some(images: Sequence[tuple[Sample, list[int]]]) -> Iterator[tuple[Sample, list[int]]]:
    """Up to `ENOUGH` of each product, spread evenly over their order."""
    for name in sorted({sample.category for sample, _ in images}):
        of_it = [one for one in images if one[0].category == name]
        for at in np.unique(np.linspace(0, len(of_it) - 1, min(ENOUGH, len(of_it))).astype(int)):
            yield of_it[at]
