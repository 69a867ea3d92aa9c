"""Features of more images than memory holds: embedded some at a time, whenever they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fedad.config import Config
from fedad.embedders.backbone import grid_of
from fedad.embedders.embedder import Embed
from fedad.errors import ConfigError
from fedad.types import Features, Fingerprint, Pixels, Sample

FIXED = (
    256 * 2**20
)  # bytes beside the points: blocks of distances, a batch of images in the network
COPIES = 1.25  # of the points: themselves, what is known of each, and the kept ones again


@dataclass(frozen=True, eq=False)
class InParts:
    """What a method needs of features, without holding them all; see `types.Features`."""

    embed: Embed
    samples: tuple[Sample, ...]
    grid: tuple[int, int, int]  # (h, w, D) of an image
    memory: int  # bytes for the features of a part and for what is selected of all
    pixels: Pixels | None = None

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sample.category for sample in self.samples)

    @property
    def patches_per_image(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, D) of an image's features."""
        return self.grid

    @property
    def fingerprint(self) -> Fingerprint:
        return self.embed(self.samples[:1]).fingerprint

    def parts(self, category: str | None = None) -> Iterator[np.ndarray]:
        """The patches (n, D) of a category, or of all, of whole images, at most half the memory at
        a time."""
        wanted = [s for s in self.samples if category in (None, s.category)]
        at_once = max(1, self.memory // 2 // image_bytes(self.grid))
        for at in range(0, len(wanted), at_once):
            yield self.embed(wanted[at : at + at_once]).patches


def within_memory(config: Config, embed: Embed, samples: Sequence[Sample]) -> Features | InParts:
    """The features of `samples`, all at once if `coreset.memory-gb` allows it.

    Raises:
        ConfigError: memory for less than an image and the bank, or another coreset than kcenter
            where the points come in parts.
    """
    limit = int(config.coreset.memory_gb * 2**30)
    if not limit:
        return embed(samples)
    grid = grid_of(config.embedder)
    points = len(samples) * image_bytes(grid)
    kept = config.coreset.local_ratio * points
    if FIXED + COPIES * points + kept <= limit:
        return embed(samples)
    least = FIXED + 4 * kept + 2 * image_bytes(grid)
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
    return InParts(embed, tuple(samples), grid, limit - FIXED)


def image_bytes(grid: tuple[int, int, int]) -> int:
    """What the features of one image take."""
    h, w, d = grid
    return 4 * h * w * d
