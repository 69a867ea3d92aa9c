"""What a FedDyMem site learns of its products in a round, and sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fedad.averaging.memories import reduced, standing_for
from fedad.banks.bank import by_value
from fedad.config import Config
from fedad.messages.coded import rounded
from fedad.methods._batches import batches, some_patches
from fedad.methods._generator import LAYERS, Layers, generated
from fedad.methods._memory import Memory
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts
    from fedad.methods.feddymem import Knobs


class Part(NamedTuple):
    """What a site has learned of a group: rows, the patches that each stands for, a generator, and
    patches of its own."""

    rows: np.ndarray
    patches: np.ndarray
    layers: Layers
    kept: np.ndarray


def part_of(
    features: Features | InParts,
    group: str,
    model: Memory,
    config: Config,
    *,
    rng: np.random.Generator,
    device: str,
) -> Part:
    """What a site learns of a group in a round."""
    from fedad.coresets.kcenter import kcenter

    knobs: Knobs = config.knobs("feddymem")
    at, category = model.groups.index(group), group or None
    points = some_patches(features, category, knobs.collected * knobs.rows, rng)
    size = min(knobs.rows, len(points))
    layers, rows = model.layers(at), model.rows_of(at)
    if not len(rows):
        embedded = generated(layers, points)
        rows = embedded[kcenter(embedded, size, rng=rng, device=device)]
    if knobs.trains or knobs.dynamic:
        layers, rows = _trained(features, category, (layers, rows), config, rng=rng, device=device)
    embedded = generated(layers, points)
    if knobs.reduce:
        rows, patches = reduced(embedded, rows, passes=knobs.passes, tau=knobs.tau)
    else:
        rows = embedded[kcenter(embedded, size, rng=rng, device=device)]
        rows, patches = standing_for(embedded, rows, np.ones(len(points), np.int64))
    kept = points[:0]
    if knobs.own:
        kept = points[kcenter(points, size, rng=rng, device=device)]
    order = by_value(rounded(rows, config.wire.dtype))
    return Part(rows[order], patches[order], layers, kept)


def _trained(
    features: Features | InParts,
    category: str | None,
    start: tuple[Layers, np.ndarray],
    config: Config,
    *,
    rng: np.random.Generator,
    device: str,
) -> tuple[Layers, np.ndarray]:
    """The generator and the memory after the epochs of a round."""
    from fedad.methods._dynamic import updated
    from fedad.plumbing.compute import threads

    knobs: Knobs = config.knobs("feddymem")
    epochs = (batches(features, category, knobs.batch, rng) for _ in range(knobs.epochs))
    with threads(config.embedder.threads):
        return updated(epochs, *start, knobs=knobs, metric=knobs.trains, device=device)


def upload_of(
    parts: Sequence[Part],
    model: Memory,
    about: dict[str, Any],
    *,
    scope: Literal["category", "mixed"],
    sent: bool,
) -> Memory:
    """The memories of all groups, and their generators.

    Args:
        sent: whether generators are sent.
    """
    of, numbers = parts if sent else (), np.arange(len(parts), dtype=np.int32)
    layers: Any = {
        name: np.stack([one.layers[name] for one in of]) if of else getattr(model, name)[:0]
        for name in LAYERS
    }
    nothing = np.empty((0, model.linear.shape[2]), np.float32)
    return Memory(
        rows=np.concatenate([model.rows[:0], *(one.rows for one in parts)]),
        whose=np.repeat(numbers, [len(one.rows) for one in parts]),
        patches=np.concatenate([model.patches[:0], *(one.patches for one in parts)]),
        scope=scope,
        kept=np.concatenate([nothing, *(one.kept for one in parts)]),
        kept_of=np.repeat(numbers, [len(one.kept) for one in parts]),
        **layers,
        **about,
    )
