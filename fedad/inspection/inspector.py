"""A model, open and warm: one picture after the other, a verdict each.

What hangs on the model alone is found out once: the colours' scale, how far apart sites' rows are,
the network in memory. Pictures are embedded one at a time (a batch of one, not padded), and once,
of however many products a picture may be.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from fedad.config import Config
from fedad.embedders.box import box_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.valid import valid_of
from fedad.errors import BadFileError, ConfigError, DataError
from fedad.images.reading import reading_of
from fedad.images.roi import region_of, with_roi
from fedad.inspection.inspection import Alike, Box, Inspection, Nearest
from fedad.inspection.judged import Judged
from fedad.inspection.overlay import SIDE
from fedad.inspection.p_value import among, p_value
from fedad.inspection.picture import InMemory, Picture, cropped, image_of, own_picture, path_of
from fedad.inspection.recognise import NONE_KNOWN, recognised
from fedad.judging.full_size import full_size
from fedad.judging.looks import STRANGER, look_of, seen
from fedad.judging.verdict_words import AGAIN, NOK, OK
from fedad.judging.verdicts import oddest
from fedad.messages.payload import Payload
from fedad.methods.base import Locating, Method, Preparing, Tracing, method_of
from fedad.models.site_images import OwnImage
from fedad.plugins import did_you_mean
from fedad.running.thresholds_file import Limits
from fedad.types import Dataset, Features, Sample

AROUND = 5  # patches a side that a crop of a place shows: about what a patch's features see
UNKNOWN = "unknown"
WARM = 3  # pictures of one colour that a new inspector sees first: torch plans on its first calls


class Opened(NamedTuple):
    """All that an inspector judges by."""

    config: Config
    model: Payload
    limits: Mapping[str, Limits]  # of each product
    name: str  # of the model: a digest
    site: str = ""
    own: Payload | None = None  # what judges beside the model
    source: Payload | None = None  # the site's own, by which the most alike place is found
    images: Sequence[OwnImage] = ()  # that it was learned from, in that order
    stale: Mapping[str, str] = MappingProxyType({})  # product -> why its threshold must be set anew


class Inspector:
    """Judges pictures by one model. Raises DataError where there is no threshold of any product."""

    def __init__(self, opened: Opened, embed: Embedder) -> None:
        self.opened, self.embed = opened, embed
        method = method_of(opened.config)
        self.scales = method.scale(opened.model)
        if isinstance(method, Preparing):
            method = method.prepared(opened.model, opened.own)
        self.method: Method = method
        self.box = box_of(opened.config.embedder)
        self.masks = {one.category: Path(one.roi) for one in opened.images if one.roi}
        self.limits = {name: one for name, one in opened.limits.items() if one.promise.kept}
        if not self.limits:
            raise DataError(
                f"model {opened.name}: no product has a threshold: fedad calibrate --bank FILE "
                "--good DIR sets them from good parts that the model has not seen"
            )

    @property
    def products(self) -> tuple[str, ...]:
        """What it can judge."""
        return tuple(sorted(self.limits))

    def warm(self) -> None:
        """Judge nothing a few times: the first calls of a network take longer than all later."""
        grey = np.full((64, 64, 3), 127, np.uint8)
        for _ in range(WARM):
            with suppress(DataError):  # a mask of other proportions: the network has seen it
                self.inspect(grey, self.products[0])

    def inspect(self, picture: Picture, product: str = "", name: str = "") -> Inspection:
        """The verdict on one picture.

        Args:
            picture: a file, the bytes of one, or (H, W, 3) uint8 RGB.
            product: of which the part is; where it is left out and the model judges several, that
                for which the picture is the least odd (`recognise.py`).
            name: what the picture is called; a file's own if not told.

        Raises:
            BadFileError: the file is no picture that can be read.
            ConfigError: a product that the model does not know, or none where it cannot be
                recognised.
            DataError: there is no threshold of the product.
        """
        began = time.perf_counter()
        product, path = self.product_of(product), path_of(picture, name)
        names = (product,) if product else self.products
        image = image_of(picture, path, reading_of(self.opened.config.data))
        canvas, grid = self._embedded(image, path)
        found = self._judged(image, grid, [self._sample(path, one) for one in names])
        product = found.sample.category
        limits = self.limits[product]
        site = found.nearest.site if found.nearest else ""
        limit = limits.threshold.limit(site)
        again = ""
        look = look_of(self._seen(canvas, image), found.counted)
        if limits.looks:
            again = limits.looks.why_again(look)
        if again == STRANGER and len(names) > 1:
            again = NONE_KNOWN
        verdict = AGAIN if again else (NOK if found.score > limit else OK)
        good = among(limits.good, site, limits.promise.by_site)
        alike = odd = None
        if verdict == NOK and found.nearest is not None:
            alike = self._alike(found.features, found.patches)
            odd = cropped(image, found.nearest.place)
        shown, heat = self._shown(image, found)
        return Inspection(
            name=name or (picture.name if isinstance(picture, Path) else "picture"),
            product=product,
            verdict=verdict,
            score=found.score,
            threshold=limit,
            p_value=p_value(found.score, good) if good else math.nan,
            good_parts=len({one.part for one in good}),
            scale=self.scales[product],
            seconds=time.perf_counter() - began,
            model=self.opened.name,
            reason=again,
            stale=self.opened.stale.get(product, ""),
            recognised=len(names) > 1,
            nearest=found.nearest,
            alike=alike,
            picture=shown,
            heat=heat,
            odd=odd,
            size=(image.height, image.width),
            grey=look.light,
            sharpness=look.sharpness,
        )

    def product_of(self, product: str) -> str:
        """The product that a name means; without one, the only one that there is, or none where it
        is to be recognised.

        Raises:
            ConfigError, DataError: it cannot be judged; see `inspect`.
        """
        known = self.products
        if product in known:
            return product
        if product in self.opened.limits:
            raise DataError(
                f"{product}: too few good parts set no threshold: "
                f"{self.opened.limits[product].promise.told()}"
            )
        if product:
            raise ConfigError(
                f"product {product!r}{did_you_mean(product, known)}: the model judges "
                f"{', '.join(known)}: name one of them"
            )
        if len(known) == 1:
            return known[0]
        if unseen := [name for name in known if self.limits[name].looks is None]:
            raise ConfigError(
                f"no product: the model judges {', '.join(known)}, and nothing tells what good "
                f"pictures of {unseen[0]} look like: name one of them"
            )
        return ""

    def _sample(self, path: Path, product: str) -> Sample:
        """A picture as a sample of a product, with the mask of where it is looked at: that of the
        pictures that were learned from, else the one that `data.roi` names beside this one."""
        data, mask = self.opened.config.data, self.masks.get(product)
        reading = reading_of(data)
        sample = Sample(product, "test", UNKNOWN, path, None, reading=reading, roi=mask)
        if mask is not None:
            return sample
        dataset = Dataset("", path.parent, "", (sample,), folders={product: path.parent})
        (sample,) = with_roi((sample,), dataset, data.roi, self.opened.site)
        return sample

    def _embedded(self, image: Image.Image, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """What the network is given of the picture, and what it makes of it (1, h, w, D)."""
        canvas = self.embed.backbone.prepare(image)
        grid = self.embed.backbone(canvas[None])
        if not np.isfinite(grid).all():
            raise DataError(f"{path}: its features are not finite: are the weights broken?")
        return canvas, grid

    def _seen(self, canvas: np.ndarray, image: Image.Image) -> np.ndarray:
        """What the network saw of the picture (H, W, 3), without padding."""
        if canvas.ndim != 3:  # several sizes, packed
            return seen(self.embed, image)
        height, width = self.box.filled((image.height, image.width))
        return canvas[:height, :width]

    def _judged(self, image: Image.Image, grid: np.ndarray, samples: Sequence[Sample]) -> Judged:
        """The picture held against the product that a sample is of; of several, against each, and
        what is said of the one that is recognised."""
        if len(samples) == 1:
            return self._held(image, grid, samples[0])
        found, refused = {}, None
        for sample in samples:
            try:
                found[sample.category] = self._held(image, grid, sample)
            except BadFileError as error:  # the product's mask is of pictures of another shape
                refused = error
        candidates = {
            name: one.candidate(looks, self.scales[name])
            for name, one in found.items()
            if (looks := self.limits[name].looks)
        }
        if not candidates and refused:
            raise refused
        return found[recognised(candidates)]

    def _held(self, image: Image.Image, grid: np.ndarray, sample: Sample) -> Judged:
        """The picture held against one product."""
        size, valid, pixels = (image.height, image.width), None, None
        region = region_of(sample, size)
        if not self.box.is_full or region is not None:
            valid = valid_of(self.box, grid.shape[1:3], size, region)[None]
        if self.method.needs_pixels:
            pixels = InMemory(self.embed, np.asarray(image))
        mark = self.embed.fingerprint
        features = Features(grid, (sample.category,), ("picture",), mark, pixels, valid)
        return Judged(sample, features, *self._scored(features, image))

    def _scored(
        self, features: Features, image: Image.Image
    ) -> tuple[np.ndarray, float, Nearest | None]:
        """Patch scores (h, w), the image's score, and what is nearest to the oddest patch."""
        model, own, method = self.opened.model, self.opened.own, self.method
        if not isinstance(method, Tracing):
            maps, scores = method.score(model, features, own=own)
            return maps[0], float(scores[0]), None
        found = method.trace(model, features, own=own, site="")
        patches, names = found.maps[0], [name or self.opened.site for name in found.sites]
        whose = oddest(names, found.nearest[0], patches)
        place = self._place(_peak(patches), (image.height, image.width))
        nearest = Nearest(whose, float(patches.max()), place, image.width)
        return patches, float(found.scores[0]), nearest

    def _place(self, patch: tuple[int, int], size: tuple[int, int]) -> Box:
        """Where in a picture of `size` (H, W) a patch and what is around it are."""
        sides = []
        grid, canvas, filled = self.embed.shape[:2], self.box.canvas, self.box.filled(size)
        for at, patches, side, full, pixels in zip(patch, grid, canvas, filled, size, strict=True):
            scale = pixels / full * side / patches  # pixels of the picture a patch
            length = min(pixels, max(1, round(AROUND * scale)))
            start = round((at + 0.5) * scale - length / 2)
            sides.append((min(max(start, 0), pixels - length), length))
        (top, height), (left, width) = sides
        return Box(left, top, width, height)

    def _alike(self, features: Features, patches: np.ndarray) -> Alike | None:
        """The place in the site's own images that is most like the oddest one."""
        opened, method = self.opened, self.method
        if opened.source is None or not isinstance(method, Locating):
            return None
        found = method.alike(opened.model, opened.source, features, _peak(patches))
        if found is None or found[0] >= len(opened.images):
            return None
        number, patch = found
        own = opened.images[number]
        at = divmod(patch, self.embed.shape[1])
        try:
            image = own_picture(own.path, reading_of(opened.config.data))
        except DataError:  # it may be gone: which it was is known
            return Alike(own.name, own.path, Box(0, 0, 0, 0))
        place = self._place(at, (image.height, image.width))
        return Alike(own.name, own.path, place, cropped(image, place))

    def _shown(self, image: Image.Image, found: Judged) -> tuple[np.ndarray, np.ndarray]:
        """The picture and its map as an overlay shows them."""
        shrink, valid = min(1.0, SIDE / max(image.size)), found.features.valid
        size = (max(1, round(image.height * shrink)), max(1, round(image.width * shrink)))
        small = image if shrink == 1 else image.resize(size[::-1], Image.Resampling.BILINEAR)
        heat = full_size(
            found.patches,
            size,
            side=self.box.canvas,
            sigma=self.opened.config.score.sigma,
            filled=self.box.filled((image.height, image.width)),
            valid=None if valid is None else valid[0],
        )
        region = region_of(found.sample, (image.height, image.width))
        if region is not None:
            mask = Image.fromarray(region).resize(size[::-1], Image.Resampling.NEAREST)
            heat = np.where(np.asarray(mask), heat, np.float32(0))
        return np.asarray(small), heat


def _peak(patches: np.ndarray) -> tuple[int, int]:
    """(y, x) of the patch with the largest score."""
    y, x = np.unravel_index(int(patches.argmax()), patches.shape)
    return int(y), int(x)
