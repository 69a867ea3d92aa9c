"""The images themselves, for a method that has to see them; they never leave the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from PIL import Image

from fedad.embedders.embedder import Embed, Embedder
from fedad.embedders.in_parts import InParts
from fedad.errors import ConfigError
from fedad.images.pixels import read_image
from fedad.types import Features, Sample

F = TypeVar("F", bound=Features | InParts)


@dataclass(frozen=True, eq=False)
class SitePixels:
    """The images of some samples, and the network that embedded them; see `types.Pixels`."""

    embedder: Embedder
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, image: int) -> np.ndarray:
        return np.asarray(read_image(self.samples[image].path, self.samples[image].reading))

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        backbone = self.embedder.backbone
        size = 1 if backbone.tiles else backbone.batch
        grids = []
        for at in range(0, len(images), size):
            some = [backbone.prepare(Image.fromarray(image)) for image in images[at : at + size]]
            grids.append(backbone(np.stack(some)))
        return np.concatenate(grids)


def with_pixels(features: F, embed: Embed, samples: Sequence[Sample]) -> F:
    """The features of these samples, with their images.

    Raises:
        ConfigError: they were not embedded by an `Embedder`.
    """
    if not isinstance(embed, Embedder):
        raise ConfigError("a method that needs pixels needs an Embedder to read them by")
    return replace(features, pixels=SitePixels(embed, tuple(samples)))
