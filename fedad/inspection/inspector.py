"""A model, open and warm: one picture after the other, a verdict each.

What hangs on the model alone is found out once: the colours' scale, how far apart sites' rows are,
the network in memory. Pictures are embedded one at a time (a batch of one, not padded).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fedad.config import Config
from fedad.embedders.box import box_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.valid import valid_of
from fedad.errors import ConfigError, DataError
from fedad.images.files import strict
from fedad.images.pixels import read_file, rgb, shown
from fedad.images.reading import reading_of
from fedad.images.roi import region_of, with_roi
from fedad.inspection.inspection import AGAIN, NOK, OK, Alike, Box, Inspection, Nearest
from fedad.inspection.overlay import CROP, SIDE
from fedad.inspection.p_value import among, p_value
from fedad.judging.full_size import full_size
from fedad.judging.looks import look_of, seen
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
            self.inspect(grey, self.products[0])

    def inspect(self, picture: Path | np.ndarray, product: str = "", name: str = "") -> Inspection:
        """The verdict on one picture.

        Args:
            picture: a file, or (H, W, 3) uint8 RGB.
            product: of which the part is; may be left out where the model judges one alone.
            name: what the picture is called; a file's own if not told.

        Raises:
            BadFileError: the file is no picture that can be read.
            ConfigError: a product that the model does not know, or none where there are several.
            DataError: there is no threshold of the product.
        """
        began = time.perf_counter()
        product = self.product_of(product)
        image, sample = self._opened(picture, product)
        features, canvas = self._features(image, sample)
        patches, score, nearest = self._scored(features, image)
        limits = self.limits[product]
        site = nearest.site if nearest else ""
        limit = limits.threshold.limit(site)
        valid = features.valid
        counted = patches if valid is None else patches[valid[0]]
        again = limits.looks.why_again(look_of(canvas, counted)) if limits.looks else ""
        verdict = AGAIN if again else (NOK if score > limit else OK)
        good = among(limits.good, site, limits.promise.by_site)
        alike = odd = None
        if verdict == NOK and nearest is not None:
            alike = self._alike(features, patches)
            odd = _cropped(image, nearest.place)
        picture_, heat = self._shown(image, patches, valid, sample)
        return Inspection(
            name=name or (picture.name if isinstance(picture, Path) else "picture"),
            product=product,
            verdict=verdict,
            score=score,
            threshold=limit,
            p_value=p_value(score, good) if good else math.nan,
            good_parts=len({one.part for one in good}),
            scale=self.scales[product],
            seconds=time.perf_counter() - began,
            model=self.opened.name,
            reason=again,
            nearest=nearest,
            alike=alike,
            picture=picture_,
            heat=heat,
            odd=odd,
        )

    def product_of(self, product: str) -> str:
        """The product that a name means; without one, the only one that there is.

        Raises:
            ConfigError, DataError: it cannot be judged; see `inspect`.
        """
        known = self.products
        if not product and len(known) == 1:
            return known[0]
        if product in known:
            return product
        if product in self.opened.limits:
            raise DataError(
                f"{product}: too few good parts set no threshold: "
                f"{self.opened.limits[product].promise.told()}"
            )
        said = f"product {product!r}{did_you_mean(product, known)}" if product else "no product"
        raise ConfigError(f"{said}: the model judges {', '.join(known)}: name one of them")

    def _opened(self, picture: Path | np.ndarray, product: str) -> tuple[Image.Image, Sample]:
        """The picture as it is read, and as a sample of the product."""
        data = self.opened.config.data
        path = picture if isinstance(picture, Path) else Path()
        sample = Sample(product, "test", UNKNOWN, path, None, reading=reading_of(data))
        folders = {product: path.parent}
        dataset = Dataset("", path.parent, "", (sample,), folders=folders)
        (sample,) = with_roi((sample,), dataset, data.roi, self.opened.site)
        if isinstance(picture, Path):
            with strict():
                return rgb(read_file(path, sample.reading), path, sample.reading), sample
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise DataError(
                f"a picture of shape {picture.shape} {picture.dtype}: expected (H, W, 3) uint8 RGB"
            )
        return Image.fromarray(picture), sample

    def _features(self, image: Image.Image, sample: Sample) -> tuple[Features, np.ndarray]:
        """The picture's features, and what the network saw of it, without padding."""
        backbone, size = self.embed.backbone, (image.height, image.width)
        canvas = backbone.prepare(image)
        grid = backbone(canvas[None])
        if not np.isfinite(grid).all():
            raise DataError(f"{sample.path}: its features are not finite: are the weights broken?")
        region, valid = region_of(sample, size), None
        if not self.box.is_full or region is not None:
            valid = valid_of(self.box, grid.shape[1:3], size, region)[None]
        pixels = None
        if self.method.needs_pixels:
            pixels = InMemory(self.embed, np.asarray(image))
        features = Features(
            grid, (sample.category,), ("picture",), self.embed.fingerprint, pixels, valid
        )
        if canvas.ndim != 3:  # several sizes, packed
            return features, seen(self.embed, image)
        height, width = self.box.filled(size)
        return features, canvas[:height, :width]

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
            image = _own_picture(own.path, reading_of(opened.config.data))
        except DataError:  # it may be gone: which it was is known
            return Alike(own.name, own.path, Box(0, 0, 0, 0))
        place = self._place(at, (image.height, image.width))
        return Alike(own.name, own.path, place, _cropped(image, place))

    def _shown(
        self, image: Image.Image, patches: np.ndarray, valid: np.ndarray | None, sample: Sample
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture and its map as an overlay shows them."""
        shrink = min(1.0, SIDE / max(image.size))
        size = (max(1, round(image.height * shrink)), max(1, round(image.width * shrink)))
        small = image if shrink == 1 else image.resize(size[::-1], Image.Resampling.BILINEAR)
        heat = full_size(
            patches,
            size,
            side=self.box.canvas,
            sigma=self.opened.config.score.sigma,
            filled=self.box.filled((image.height, image.width)),
            valid=None if valid is None else valid[0],
        )
        region = region_of(sample, (image.height, image.width))
        if region is not None:
            mask = Image.fromarray(region).resize(size[::-1], Image.Resampling.NEAREST)
            heat = np.where(np.asarray(mask), heat, np.float32(0))
        return np.asarray(small), heat


def _peak(patches: np.ndarray) -> tuple[int, int]:
    """(y, x) of the patch with the largest score."""
    y, x = np.unravel_index(int(patches.argmax()), patches.shape)
    return int(y), int(x)


def _cropped(image: Image.Image, place: Box) -> np.ndarray:
    """A place of a picture, as an overlay shows it."""
    box = (place.left, place.top, place.left + place.width, place.top + place.height)
    return np.asarray(image.crop(box).resize((CROP, CROP), Image.Resampling.BILINEAR))


@lru_cache(maxsize=8)
def _own_picture(path: Path, reading: Any) -> Image.Image:
    """One of the site's own images; shots of one defect are often most like the same one."""
    if not path.is_file():
        raise DataError(f"{shown(path)}: it is gone")
    return rgb(read_file(path, reading), path, reading)
