"""Features of more images than memory holds: embedded some at a time, whenever they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from fedad.config import Config
from fedad.embedders.backbone import grid_of, tiles_of
from fedad.embedders.box import box_of
from fedad.embedders.embedder import Embed, Embedder
from fedad.embedders.turns import copies, sources
from fedad.embedders.valid import valid_patches
from fedad.errors import ConfigError
from fedad.types import Features, Fingerprint, Pixels, Sample, Some, Turned, parts_shown

FIXED = (
    256 * 2**20
)  # bytes beside the points: blocks of distances, a batch of images in the network
COPIES = 1.25  # of the points: themselves, what is known of each, and the kept ones again

F = TypeVar("F", "Features", "InParts")


@dataclass(frozen=True, eq=False)
class InParts:
    """What a method needs of features, without holding them all; see `types.Features`."""

    embed: Embed
    samples: tuple[Sample, ...]
    grid: tuple[int, int, int]  # (h, w, D) of an image
    memory: int  # bytes for the features of a part and for what is selected of all
    pixels: Pixels | None = None
    turned: Turned | None = None

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sample.category for sample in self.samples)

    @property
    def images(self) -> tuple[str, ...]:
        """(B,): the images' names."""
        return tuple(sample.name for sample in self.samples)

    @property
    def shown(self) -> tuple[str, ...]:
        """(B,): the part that each image shows; empty: nobody says."""
        return parts_shown(self.samples)

    @cached_property
    def valid(self) -> np.ndarray | None:
        """(B, h, w) bool: which patches are valid; None: all."""
        return self._valid(self.samples)

    @property
    def patches_per_image(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, D) of an image's features."""
        return self.grid

    @property
    def fingerprint(self) -> Fingerprint:
        if isinstance(self.embed, Embedder):
            return self.embed.fingerprint
        return self.embed(self.samples[:1]).fingerprint

    def take(self, images: Sequence[int]) -> InParts:
        """The features of these images, in this order; none of copies."""
        samples = tuple(self.samples[k] for k in images)
        return replace(self, samples=samples, pixels=self._pixels_of(images), turned=None)

    def in_memory(self, images: Sequence[int]) -> Features:
        """The features of these images, all at once, with their pixels where there are any."""
        found = self.embed([self.samples[k] for k in images])
        return found if self.pixels is None else replace(found, pixels=self._pixels_of(images))

    def _pixels_of(self, images: Sequence[int]) -> Pixels | None:
        return None if self.pixels is None else Some(self.pixels, tuple(images))

    def parts(self, category: str | None = None) -> Iterator[np.ndarray]:
        """The patches (n, D) of a category, or of all, that are valid: at most half the memory at a
        time, of whole images, or of rows of tiles where not even one has room."""
        wanted = [s for s in self.samples if category in (None, s.category)]
        at_once = self.memory // 2 // image_bytes(self.grid)
        if not at_once and isinstance(self.embed, Embedder) and self.embed.knobs.tile:
            yield from self._gathered(self.embed, wanted)
            return
        for at in range(0, len(wanted), max(1, at_once)):
            (part,) = self.embed(wanted[at : at + max(1, at_once)]).parts()
            yield part

    def _gathered(self, embed: Embedder, samples: Sequence[Sample]) -> Iterator[np.ndarray]:
        """The patches of rows of tiles, as many together as memory allows: there they are up to
        four times, as rows, joined, centred by who selects among them, and as those before."""
        some, size = list[np.ndarray](), 0
        for sample in samples:
            valid, row = self._valid([sample]), 0
            for strip in embed.strips(sample):
                if size + strip.nbytes > self.memory // 8 and some:
                    part = np.concatenate(some)
                    some, size = [], 0
                    yield part
                    del part
                shown = None if valid is None else valid[0, row : row + len(strip)]
                some.append(strip.reshape(-1, strip.shape[-1]) if shown is None else strip[shown])
                size, row = size + some[-1].nbytes, row + len(strip)
        if some:
            yield np.concatenate(some)

    def _valid(self, samples: Sequence[Sample]) -> np.ndarray | None:
        if not isinstance(self.embed, Embedder):
            return None
        return valid_patches(samples, box_of(self.embed.knobs), self.grid[:2])


def within_memory(
    config: Config, embed: Embed, samples: Sequence[Sample], turns: int = 1
) -> Features | InParts:
    """The features of `samples`, all at once if `coreset.memory-gb` allows it.

    Args:
        turns: at which the method wants training images; above 1, `turned` has the copies.

    Raises:
        ConfigError: memory for less than an image and the bank, or another coreset than kcenter
            where the points come in parts.
    """
    limit = int(config.coreset.memory_gb * 2**30)
    if not limit:
        return with_turns(config, embed(samples), embed, samples, turns)
    grid, fixed = grid_of(config.embedder), fixed_bytes(config)
    points = len(samples) * image_bytes(grid)
    kept = config.coreset.local_ratio * points
    if fixed + copies_held(turns) * points + kept <= limit:
        return with_turns(config, embed(samples), embed, samples, turns)
    least = fixed + 4 * kept + 2 * _piece_bytes(config, grid)
    if limit < least:
        raise ConfigError(
            f"coreset.memory-gb = {config.coreset.memory_gb}: a bank of {kept / 2**30:.2f} GB "
            f"takes at least {least / 2**30:.2f}: allow more, or lower coreset.local-ratio"
        )
    if config.coreset.selection != "kcenter":
        raise ConfigError(
            f"coreset.selection = {config.coreset.selection!r}: only kcenter selects in parts, and "
            f"all features take {points / 2**30:.2f} GB: raise coreset.memory-gb"
        )
    parts = InParts(embed, tuple(samples), grid, limit - fixed)
    return with_turns(config, parts, embed, samples, turns)


def copies_held(turns: int) -> float:
    """How often the points of training images are in memory where they fit: those of turned images
    are joined to them to be selected among."""
    return COPIES if turns == 1 else turns * (COPIES + 1)


def with_turns(
    config: Config, features: F, embed: Embed, samples: Sequence[Sample], turns: int
) -> F:
    """The features of training images with those of their copies at so many turns, in parts where
    they themselves are."""
    if turns == 1 or not samples:
        return features
    turned, grid = copies(samples, turns), features.shape[:2]
    source = sources(turned, len(samples), box_of(config.embedder), grid)
    found = replace(features, samples=turned) if isinstance(features, InParts) else embed(turned)
    return replace(features, turned=Turned(found, source))


def fixed_bytes(config: Config) -> int:
    """What is in memory beside the points: where images are cut into tiles, also one image as it
    was decoded and on its canvas, which may be hundreds of megabytes."""
    if not config.embedder.tile:
        return FIXED
    height, width = box_of(config.embedder).canvas
    return FIXED + 2 * 3 * height * width


def _piece_bytes(config: Config, grid: tuple[int, int, int]) -> int:
    """What features that are embedded together take: of an image, or twice of a row of tiles."""
    if not config.embedder.tile:
        return image_bytes(grid)
    high = max(row.end - row.first for row in tiles_of(config.embedder).rows)
    return 2 * image_bytes((high, *grid[1:]))


def image_bytes(grid: tuple[int, int, int]) -> int:
    """What the features of one image take."""
    h, w, d = grid
    return 4 * h * w * d
