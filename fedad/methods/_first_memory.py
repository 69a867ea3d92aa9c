"""FedDyMem's first round: sums that settle how long features are, and where generators start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.averaging.counted import of_features
from fedad.averaging.moments import Moments, moments_of, principal_axes, random_axes, square
from fedad.averaging.scoped import groups_of
from fedad.averaging.sums import Sums
from fedad.config import Config
from fedad.methods._generator import LAYERS, Layers, started
from fedad.methods._memory import Memory
from fedad.seeding import stream
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts
    from fedad.methods.feddymem import Knobs

WHOLE = "moments"  # the generator that is found by whole moments


def sums_of(features: Features | InParts, generator: str) -> Sums:
    """The moments of each product's patches, or of their lengths alone."""
    about, size = of_features(features), features.shape[-1]
    whole = generator == WHOLE
    wide = size if whole else 1
    table = [
        [moments_of(features.parts(n) if whole else _lengths(features.parts(n)), wide)]
        for n in about["categories"]
    ]
    return Sums.made_of(table, cells=1, dimensions=wide, features=size, about=about)


def first_memory(total: Sums, config: Config) -> Memory:
    """Memories without a row, whose generators are as long as the sums say, and turned as the seed
    says or as the moments."""
    knobs: Knobs = config.knobs("feddymem")
    layers, scope = list[Layers](), config.bank.scope
    size = min(knobs.dimensions, total.features)
    for group in groups_of(scope, total.categories):
        pooled = _pooled(total, group)
        length = float(np.sqrt(np.trace(square(pooled.products)) / pooled.number))
        if knobs.generator == WHOLE:
            axes = principal_axes(pooled, size)[1]
        else:
            axes = random_axes(total.features, size, stream(config.round.seed, "feddymem", group))
        layers.append(started(axes, length * knobs.lift))
    stacked: Any = {name: np.stack([one[name] for one in layers]) for name in LAYERS}
    return Memory(
        rows=np.empty((0, size), np.float32),
        whose=np.empty(0, np.int32),
        patches=np.empty(0, np.int64),
        images=total.images,
        categories=total.categories,
        sites=total.sites,
        fingerprint=total.fingerprint,
        scope=scope,
        **stacked,
    ).rounded(config.wire.dtype)


def _pooled(total: Sums, group: str) -> Moments:
    """The moments of all products of a group."""
    some = [k for k, name in enumerate(total.categories) if group in ("", name)]
    found = total.of(some[0], 0)
    for k in some[1:]:
        found = found.plus(total.of(k, 0))
    return found


def _lengths(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(n, 1): how long each of the points (n, D) is."""
    return (np.linalg.norm(part.astype(np.float64), axis=1, keepdims=True) for part in parts)
