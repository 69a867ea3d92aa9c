"""What the frozen members of an ensemble make of images, kept on disk by content.

A tap is found by the member's own model and knobs, the code of its file, and all that it is given
of an image: features, product and, where it needs them, pixels. So another member beside it,
another block or head, or the next round embeds and taps nothing again. Only what is asked for is
kept: maps of anomaly are small, channels are as large as features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import fedad
from fedad.config import Config, EmbedderKnobs
from fedad.members.base import Member, Tap
from fedad.plugins import source_of
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.cache import Cache
    from fedad.ensembles.composite import Composite

APART = {"data", "embedder", "ensemble", "merge", "round", "wire"}  # tables that no tap heeds
HEADS = {"discriminator"}  # whose knobs may be those of a head that comes after all taps
SHARE = 0.25  # of `embedder.cache-gb`, that taps may take beside the features


class Frozen(NamedTuple):
    """A member that is learned: its name, itself, its model, and a digest of that one and of the
    knobs that it may heed."""

    name: str
    member: Member
    model: object
    mark: str


def frozen(
    model: Composite, members: dict[str, Member], config: Config, fold: int | None = None
) -> tuple[Frozen, ...]:
    """The members that the model holds, in their order; those that learned less a fold."""
    found = []
    for name, member in members.items():
        part = part_of(name, fold)
        payload = model.part(part, member.rounds[-1].model)
        others = {*members, *HEADS} - {name}
        mark = hashlib.sha256(f"{model.mark(part)} {_heeded(config, others)}".encode()).hexdigest()
        found.append(Frozen(name, member, payload, mark))
    return tuple(found)


def _heeded(config: Config, others: set[str]) -> dict[str, object]:
    """The knobs that a tap may depend on beside its model, such as `score.neighbours`; none of the
    other members' own, nor of what is done before a tap or with it."""
    return {
        knob: value
        for knob, value in sorted(config.flat().items())
        if knob.partition(".")[0] not in (APART | others) or knob == "round.seed"
    }


def part_of(name: str, fold: int | None = None) -> str:
    """What a member's part of the model is called; of one that learned less a fold."""
    return f"member {name}" if fold is None else f"member {name} less {fold}"


@dataclass(frozen=True, eq=False)
class Taps:
    """Taps the frozen members, and remembers."""

    members: tuple[Frozen, ...]
    knobs: EmbedderKnobs
    remembers: bool = True
    read: dict[str, int] = field(default_factory=lambda: {"kept": 0, "made": 0})

    def anomalies(self, features: Features) -> list[np.ndarray]:
        """Of each member the maps (B, h, w) float32 of its own grid."""
        return [self._of(one, features, channels=False).anomaly for one in self.members]

    def all(self, features: Features) -> list[Tap]:
        """Of each member what it makes of the images."""
        return [self._of(one, features, channels=True) for one in self.members]

    def _of(self, one: Frozen, features: Features, *, channels: bool) -> Tap:
        """The member's tap; without its channels, (B, h, w, 0), where these are not asked for."""
        places = [self._place(one, features, k) for k in range(len(features.grid))]
        kept = [self._kept(place, channels) for place in places]
        missing = [k for k, tap in enumerate(kept) if tap is None]
        if missing:
            made = one.member.tap(one.model, features.take(missing))
            for at, k in enumerate(missing):
                kept[k] = Tap(made.channels[at], made.anomaly[at])
                self._keep(places[k], made.channels[at], made.anomaly[at], channels)
        self.read["made"] += len(missing)
        self.read["kept"] += len(kept) - len(missing)
        anomaly = np.stack([tap.anomaly for tap in kept if tap is not None])
        if not channels:
            return Tap(np.empty((*anomaly.shape, 0), np.float32), anomaly)
        return Tap(np.stack([tap.channels for tap in kept if tap is not None]), anomaly)

    def _place(self, one: Frozen, features: Features, image: int) -> Path | None:
        """Where the tap of an image is kept."""
        if self._cache is None:
            return None
        told = f"{fedad.__version__} {one.name} {one.mark} {_code(one.name)}"
        digest = hashlib.sha256(f"{told} {features.categories[image]}".encode())
        digest.update(np.ascontiguousarray(features.grid[image]).data)
        if one.member.needs_pixels and features.pixels is not None:
            pixels = np.ascontiguousarray(features.pixels[image])
            digest.update(f"{pixels.shape}".encode())
            digest.update(pixels.data)
        return self._cache.place(features.fingerprint, digest.digest())

    def _kept(self, place: Path | None, channels: bool) -> Tap | None:
        if place is None or self._cache is None:
            return None
        map_ = self._cache.get(place)
        if map_ is None or not channels:
            return None if map_ is None else Tap(np.empty(0, np.float32), map_[..., 0])
        wide = self._cache.get(_wide(place))
        return None if wide is None else Tap(wide, map_[..., 0])

    def _keep(
        self, place: Path | None, channels: np.ndarray, anomaly: np.ndarray, wanted: bool
    ) -> None:
        if place is None or self._cache is None:
            return
        if wanted:
            self._cache.put(_wide(place), np.ascontiguousarray(channels))
        self._cache.put(place, np.ascontiguousarray(anomaly[..., None]))

    @cached_property
    def _cache(self) -> Cache | None:
        if not self.remembers or self.knobs.cache == "off":
            return None
        from fedad.embedders.cache import Cache
        from fedad.plumbing.compute import made_by
        from fedad.plumbing.files import cache_root, expanded

        try:
            root = expanded(self.knobs.cache) if self.knobs.cache else cache_root()
        except OSError:  # the embedder has said so
            return None
        made_with = " ".join(f"{name} {what}" for name, what in made_by(self.knobs.device).items())
        return Cache(root / "taps", int(SHARE * self.knobs.cache_gb * 2**30), made_with)


def resized(maps: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(B, h, w, D) float32 brought to another grid by bilinear interpolation; an image alone."""
    if maps.shape[1:3] == tuple(grid):
        return maps
    import torch
    from torch.nn.functional import interpolate

    found = np.empty((len(maps), *grid, maps.shape[3]), np.float32)
    for k, one in enumerate(maps):
        planes = torch.from_numpy(np.ascontiguousarray(one)).permute(2, 0, 1)[None]
        larger = interpolate(planes, size=tuple(grid), mode="bilinear", align_corners=False)
        found[k] = larger[0].permute(1, 2, 0).numpy()
    return found


def resized_maps(maps: Sequence[np.ndarray], grid: tuple[int, int]) -> np.ndarray:
    """(O, B, h, w): maps (B, h_o, w_o) of several outputs on one grid."""
    return np.stack([resized(one[..., None], grid)[..., 0] for one in maps])


def _wide(place: Path) -> Path:
    return place.with_name(f"{place.stem}-wide{place.suffix}")


def _code(name: str) -> str:
    return hashlib.sha256(source_of("members", name).encode()).hexdigest()[:16]
