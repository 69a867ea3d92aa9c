"""Images as experts see them: some of them, adapted, and each of a product that is its expert."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fedad.types import Features, Sample

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

F = TypeVar("F", bound="Features | InParts")
Move = Callable[[np.ndarray, str], np.ndarray]  # patches (h, w, D) of an image, as a name sees them


def grids_of(features: Features | InParts) -> Iterator[np.ndarray]:
    """(h, w, D): the patches of each image, one after the other."""
    if isinstance(features, Features):
        yield from features.grid
    else:
        for sample in features.samples:
            yield features.embed([sample]).grid[0]


def seen_as(features: F, names: Sequence[str], move: Move | None) -> F:
    """The images (B,) with other names in place of their products', and their patches moved."""
    if isinstance(features, Features):
        grid = features.grid
        if move is not None:
            grid = np.stack([move(one, name) for one, name in zip(grid, names, strict=True)])
        return replace(features, grid=grid, categories=tuple(names))
    pairs = [*zip(features.samples, names, strict=True)]
    renamed = tuple(replace(sample, category=name) for sample, name in pairs)
    plain = dict(zip((sample.path for sample in renamed), features.samples, strict=True))

    def embed(samples: Sequence[Sample]) -> Features:
        found = features.embed([plain[sample.path] for sample in samples])
        return seen_as(found, [sample.category for sample in samples], move)

    return replace(features, embed=embed, samples=renamed)
