"""At a site: count how well candidates tell drawn defects from good images.

A small bank is made of a product's good images, and each of them is held out in turn: it is judged
by the rows of the others. Into each a defect is drawn (`defects/`). What is around a defect stays
the image that it was drawn into, so only the patches that show some of it are compared anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fedad.banks.capacity import kept_rows
from fedad.config import Config
from fedad.descriptors.apply import described_features
from fedad.descriptors.density import divided, gaps
from fedad.descriptors.position import near_own_place, places
from fedad.descriptors.settings import ALL, OFF, Settings
from fedad.descriptors.smoothed_maximum import smoothed_maximum
from fedad.methods._evidence import LEVELS, held_out
from fedad.types import Features

if TYPE_CHECKING:  # what takes torch is imported when it is used
    from fedad.embedders.in_parts import InParts

ROWS = 1500  # of the small bank, at most
KINDS = ("cut_paste", "perlin", "scar")  # of defects: those that `auto` was published with


class Counts(NamedTuple):
    """The fields of `Evidence` that are counted on images that were held out, of one product."""

    held: int
    looked: int
    placed: int
    defects: int
    defective: int
    pairs: int
    ordered: np.ndarray  # (K,)
    found: np.ndarray  # (K, L)


def nothing(candidates: int) -> Counts:
    """Of a product of whose images none can be held out, or none that were show a valid patch."""
    ordered, found = np.zeros(candidates, np.int64), np.zeros((candidates, len(LEVELS)), np.int64)
    return Counts(0, 0, 0, 0, 0, 0, ordered, found)


def columns(found: Sequence[Counts], candidates: int) -> dict[str, Any]:
    """The fields of `Evidence`, with a row for each product."""
    empty = nothing(candidates)
    return {
        name: np.array([getattr(one, name) for one in found], np.int64).reshape(
            -1, *np.shape(getattr(empty, name))
        )
        for name in Counts._fields
    }


def counts(
    features: Features | InParts,
    images: Sequence[int],
    candidates: Mapping[str, Settings],
    config: Config,
    *,
    least: int,
    rng: np.random.Generator,
    device: str,
) -> Counts:
    """What is counted of a product, on `held_out` of these images of it, as they are drawn."""
    most = int(held_out(len(images), least))
    good = features.in_memory(sorted(rng.permutation(images)[:most].tolist()))
    if not _valid(good).any():
        return nothing(len(candidates))._replace(held=most)
    bad, where = _drawn(good, config, rng)
    bank, valid = _Bank(good, config, device), _valid(good)
    ordered = np.zeros(len(candidates), np.int64)
    found = np.zeros((len(candidates), len(LEVELS)), np.int64)
    for k, settings in enumerate(candidates.values()):
        maps = bank.maps(good, settings, valid)
        of_defects = bank.maps(bad, settings, where)
        limits = np.quantile(maps[valid], 1 - np.array(LEVELS))
        found[k] = (of_defects[where][:, None] > limits).sum(0)
        whole = np.where(where, of_defects, maps)
        share = settings.smoothed_maximum
        scores, defective = smoothed_maximum(maps, share), smoothed_maximum(whole, share)
        wins = (defective[:, None] > scores).sum() * 2 + (defective[:, None] == scores).sum()
        ordered[k] = wins
    return Counts(
        held=len(maps),
        looked=int(valid.sum()),
        placed=bank.placed(good, valid),
        defects=len(where),
        defective=int(where.sum()),
        pairs=len(maps) * len(where),
        ordered=ordered,
        found=found,
    )


class _Bank:
    """A small bank of good images, described in several ways: the same patches each time. An image
    is judged by the rows of other parts than its own."""

    def __init__(self, good: Features, config: Config, device: str) -> None:
        from fedad.coresets.kcenter import central, cover

        self.good, self.device = good, device
        self.numbers = np.flatnonzero(_valid(good))
        points = good.patches[self.numbers]
        size = min(ROWS, kept_rows(config, len(points)))
        self.rows, _ = cover(points, size, (central(points),), device)
        names = good.shown or tuple(map(str, range(len(good.grid))))
        self.part = np.unique(names, return_inverse=True)[1]
        self.part_of_row = self.part[self.numbers[self.rows] // good.patches_per_image]
        self.known: dict[tuple[float, float], tuple[Settings, np.ndarray]] = {}
        self.near: dict[tuple[int, float, float], tuple[np.ndarray, np.ndarray]] = {}
        self.apart: dict[tuple[float, float], np.ndarray] = {}

    def maps(self, features: Features, settings: Settings, asked: np.ndarray) -> np.ndarray:
        """(B, P) float32: the scores of the patches that are asked for, (B, P) bool; else 0.

        Args:
            features: of the very images that the bank is made of, or of these with defects.
        """
        distance, row = self._nearest(features, settings, asked)
        if settings.density:
            distance = divided(distance, self._gaps(settings)[row], settings.density)
        found = np.zeros(asked.shape, np.float32)
        found[asked] = distance
        return found

    def placed(self, good: Features, valid: np.ndarray) -> int:
        """How many of the valid patches have their nearest row, by features alone, near their own
        place."""
        h, w, _ = good.shape
        of_row = places(h, w)[self.numbers[self.rows] % (h * w)]
        own = np.broadcast_to(places(h, w), (len(good.grid), h * w, 2))[valid]
        _, row = self._nearest(good, OFF, valid)
        return near_own_place(of_row[row], own)

    def _described(self, settings: Settings) -> tuple[Settings, np.ndarray]:
        """The settings with the scale of these images, and the rows."""
        key = (settings.position, settings.standardise)
        if key not in self.known:
            plain = replace(settings, position=0.0)
            patches = described_features(self.good, {ALL: plain}).patches[self.numbers]
            scale = float(np.sqrt(patches.var(axis=0, dtype=np.float64).sum()))
            full = replace(settings, scale=scale)
            if settings.position:
                patches = described_features(self.good, {ALL: full}).patches[self.numbers]
            self.known[key] = full, np.ascontiguousarray(patches[self.rows])
        return self.known[key]

    def _nearest(
        self, features: Features, settings: Settings, asked: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The distance of each patch that is asked for, and its nearest row of another part."""
        from fedad.search.nearest_rows import by_torch

        key = (id(features), settings.position, settings.standardise)
        if key in self.near:
            return self.near[key]
        full, rows = self._described(settings)
        grid = described_features(features, {ALL: full}).grid
        points = grid.reshape(*asked.shape, -1)
        distance, row = np.zeros(asked.shape, np.float32), np.zeros(asked.shape, np.int64)
        for number, seen in enumerate(asked):
            others = np.flatnonzero(self.part_of_row != self.part[number])
            if not seen.any() or not len(others):
                continue
            some = points[number, seen]
            at = others[by_torch(rows[others], some, self.device, lambda done: None)]
            row[number, seen], distance[number, seen] = at, np.linalg.norm(some - rows[at], axis=1)
        self.near[key] = distance[asked], row[asked]
        return self.near[key]

    def _gaps(self, settings: Settings) -> np.ndarray:
        key = (settings.position, settings.standardise)
        if key not in self.apart:
            _, rows = self._described(settings)
            self.apart[key] = gaps(rows, rows)
        return self.apart[key]


def _drawn(good: Features, config: Config, rng: np.random.Generator) -> tuple[Features, np.ndarray]:
    """The good images with a defect each, kinds in turn, and (B, P) bool: which of their patches
    show some of it."""
    from fedad.defects.base import draw
    from fedad.embedders.box import box_of
    from fedad.embedders.valid import valid_of

    if good.pixels is None:
        raise ValueError("defects are drawn into images: expected features with their pixels")
    box, (h, w, _) = box_of(config.embedder), good.shape
    made, shown, names = list[np.ndarray](), list[np.ndarray](), KINDS
    for number in range(len(good.grid)):
        image, other = good.pixels[number], good.pixels[int(rng.integers(len(good.grid)))]
        one = draw(image, other, names[number % len(names)], rng=rng)
        made.append(one.image)
        shown.append(valid_of(box, (h, w), image.shape[:2], one.mask).ravel())
    return replace(good, grid=good.pixels.embed(made)), np.array(shown) & _valid(good)


def _valid(features: Features) -> np.ndarray:
    """(B, P) bool."""
    shape = (len(features.grid), features.patches_per_image)
    if features.valid is None:
        return np.ones(shape, np.bool_)
    return features.valid.reshape(shape)
