"""Which of a site's good images an ensemble holds out from its members, and reading some of them.

An image is held out by its name and the seed: the same ones in every round, whatever the site is
called and in whatever order its images come. Images of one part go together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fedad.types import Features, Sample

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

F = TypeVar("F", "Features", "InParts")
AT_ONCE = 8  # images whose taps are in memory at a time


def split(features: Features | InParts, share: float, seed: int) -> tuple[list[int], list[int]]:
    """The numbers of the images that are learned from, and of those held out: of each product
    `share` of its images, at least one where it has two parts or more, and never all of its parts.
    """
    named = features.images
    parts = features.shown or named
    held = set[int]()
    for category in sorted({*features.categories}):
        mine = [k for k, name in enumerate(features.categories) if name == category]
        wanted = max(1, round(share * len(mine)))
        of_part: dict[str, list[int]] = {}
        for k in mine:
            of_part.setdefault(parts[k], []).append(k)
        order = sorted(of_part, key=lambda part: _drawn(seed, part))
        taken = list[int]()
        for part in order[: len(order) - 1]:
            if len(taken) >= wanted:
                break
            taken += of_part[part]
        held.update(taken)
    learned = [k for k in range(len(named)) if k not in held]
    return learned, sorted(held)


def folds_of(
    features: Features | InParts, folds: int, share: float, seed: int
) -> list[tuple[list[int], list[int]]]:
    """The numbers of the images that are learned from and of those held out, fold by fold: of one
    fold as `split` has it; of more, each part is held out in one of them."""
    if folds == 1:
        return [split(features, share, seed)]
    parts = features.shown or features.images
    of_fold: list[list[int]] = [[] for _ in range(folds)]
    for category in sorted({*features.categories}):
        mine = [k for k, name in enumerate(features.categories) if name == category]
        order = sorted({parts[k] for k in mine}, key=lambda part: _drawn(seed, part))
        for k in mine:
            of_fold[order.index(parts[k]) % folds].append(k)
    every = range(len(features.images))
    return [([k for k in every if k not in {*held}], sorted(held)) for held in of_fold]


def in_turn(features: Features | InParts) -> Iterator[Features]:
    """All images, a few in memory at a time, with their pixels where there are any."""
    count = len(features.categories)
    for at in range(0, count, AT_ONCE):
        numbers = range(at, min(at + AT_ONCE, count))
        yield features.in_memory(numbers)


@dataclass(frozen=True, eq=False)
class Joined:
    """Embeds samples as `make` of their features: what `InParts` of other features reads by."""

    features: InParts
    make: object

    def __call__(self, samples: Sequence[Sample]) -> Features:
        at = {id(sample): k for k, sample in enumerate(self.features.samples)}
        numbers = [at[id(sample)] for sample in samples]
        return joined(self.features.in_memory(numbers), self.make, None)


def joined(features: F, make: object, shape: tuple[int, int, int] | None) -> F:
    """The features of the same images by `make`, which takes a few at a time: Features -> (B, h, w,
    N) float32.

    Args:
        shape: (h, w, N) that it gives.
    """
    if not isinstance(features, Features):
        return replace(features, embed=Joined(features, make), grid=shape or features.grid)
    grids = [make(part) for part in in_turn(features)]  # type: ignore[operator]
    return replace(features, grid=np.concatenate(grids))


def _drawn(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=16).digest()
