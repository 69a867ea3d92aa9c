"""What an attack is, and what it has to work with.

Threat model: one site that keeps to the message format and otherwise sends what it likes. It knows
its own images, good and defective, and the run's knobs, but nothing of the other sites.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from fedad.banks.bank import Bank
from fedad.descriptors.position import COLUMNS
from fedad.embedders.embedder import Embed
from fedad.images.pixels import image_size, read_region
from fedad.types import Sample

Defects = Mapping[str, np.ndarray]
"""Category -> patches (N, D) float32 that show a defect."""


class Attack(Protocol):
    """What an honest site would have uploaded -> what a malicious one sends.

    Args:
        upload: a sealed bank of one site. It is not changed.
        rng: draws what the attack leaves open.
        defects: what the attacker knows of defects, by category.
    """

    def __call__(self, upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank: ...


def defects_of(samples: Sequence[Sample], embed: Embed) -> dict[str, np.ndarray]:
    """The patches of defective `samples` that lie under a mask; all of an image without masks."""
    found: dict[str, list[np.ndarray]] = {}
    for sample in samples:
        if not sample.is_good:
            (grid,) = embed([sample]).grid
            found.setdefault(sample.category, []).append(grid[_under_mask(sample, grid)])
    return {category: np.concatenate(patches) for category, patches in found.items()}


def _under_mask(sample: Sample, grid: np.ndarray) -> np.ndarray:
    """(h, w) bool: the patches with a defective pixel."""
    h, w, _ = grid.shape
    under = np.full((h, w), sample.masks is None)
    size = image_size(sample.path, sample.reading)
    for channel in sample.masks or ():
        y, x = np.nonzero(read_region(channel, size).mask)
        under[y * h // size[0], x * w // size[1]] = True
    return under


def with_defects(
    upload: Bank, defects: Defects, *, rng: np.random.Generator, honest: float = 0.0
) -> Bank:
    """`upload` with the last of each category's rows replaced by rows that show a defect.

    The first `honest` of the rows stay. A category without known defects stays as it is; defects
    are repeated with a little noise where they are fewer than the rows, so that no two are equal.
    """
    rows = upload.rows.copy()
    for number, category in enumerate(upload.categories):
        at = np.flatnonzero(upload.category == number)
        at = at[round(honest * len(at)) :]
        if len(known := defects.get(category, rows[:0])):
            drawn = known[rng.permutation(np.arange(len(at)) % len(known))]
            rows[at] = drawn + 0.01 * known.std() * rng.standard_normal(drawn.shape, np.float32)
    return upload.replace(rows=in_image(upload, rows))


def in_image(upload: Bank, rows: np.ndarray) -> np.ndarray:
    """The rows (M, D) with their places, where they have any, within the image: no attacker sends
    what the door sees at a glance."""
    if not upload.squares.size:
        return rows
    found = rows.copy()
    found[:, -COLUMNS:] = found[:, -COLUMNS:].clip(-1, 1)
    return found
