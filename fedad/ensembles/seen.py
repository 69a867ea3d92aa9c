"""What a site sees of its images by the parts of an ensemble that are there: taps, joined features,
outputs of members and head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fedad.config import Config, words
from fedad.ensembles.blocks import WIDEST, Blocks, groups_of, maps_of, projected
from fedad.ensembles.calibrating import Calibrator, ScoreCounts, ScoreSums
from fedad.ensembles.composite import Composite
from fedad.ensembles.selecting import Measures
from fedad.ensembles.settings import Settings
from fedad.ensembles.taps import Taps, frozen, part_of, resized_maps
from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.members.base import Member, member_of
from fedad.methods.discriminator import Discriminator
from fedad.methods.patchcore import Knobs as BankKnobs
from fedad.methods.patchcore import PatchCore
from fedad.types import Features

BLOCKS, HEAD, SUMS, COUNTS, COMBINER = "blocks", "head", "sums", "counts", "combiner"
TRIALS, MEASURES = "trials", "measures"


@dataclass(frozen=True)
class Seen:
    """The ensemble's configuration as objects, and what they make of images; no state."""

    config: Config
    knobs: Settings
    on: str

    @cached_property
    def members(self) -> dict[str, Member]:
        """Name -> the member.

        Raises:
            ConfigError: none, or one twice, or one that there is not.
        """
        names = words(self.knobs.members)
        if not names or len({*names}) < len(names):
            raise ConfigError(
                f"ensemble.members = {self.knobs.members!r}: expected a comma list of different "
                "members, such as patchcore,discriminator"
            )
        return {name: member_of(self.config, name) for name in names}

    @cached_property
    def head(self) -> Any:
        """What judges the joined features, a `Method`; or None."""
        if self.knobs.head == "none":
            return None
        if self.knobs.head == "discriminator":
            return Discriminator.of(self.config, device=self.on)
        plain = {**self.config.plugins, "patchcore": BankKnobs(preset="classic")}
        return PatchCore.of(replace(self.config, plugins=plain), device=self.on)

    @property
    def folds(self) -> list[int | None]:
        """Of which fold of images the members are that score those held out; None: the members that
        judge score them too, and are not learned of them."""
        return [None] if self.knobs.folds == 1 else [*range(self.knobs.folds)]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the outputs that are combined."""
        return (*self.members, *([HEAD] if self.head else []))

    @property
    def groups(self) -> int:
        """How many groups of channels a block has."""
        return len(self.widest)

    @property
    def widest(self) -> list[int]:
        """Of each group of a block, the most channels that it can have."""
        members = len(self.members)
        maps = [1] * members if self.knobs.extra in ("anomaly", "both") else []
        if self.knobs.block == "individual":
            return [WIDEST] * members + maps
        return [WIDEST * members, *maps]

    @property
    def residual(self) -> bool:
        """Whether what components leave out is joined."""
        return self.knobs.extra in ("residual", "both")

    def width(self, blocks: Blocks) -> int:
        """How many channels the head is given."""
        return blocks.components + (self.groups if self.residual else 0)

    def taps(self, model: Composite, fold: int | None = None) -> Taps:
        """What taps the frozen members, or those that learned less a fold."""
        members = frozen(model, self.members, self.config, fold)
        return Taps(members, self.config.embedder)

    def channels(self, taps: Taps, features: Features) -> list[np.ndarray]:
        """The groups of channels (B, h, w, D_g) of a block, those of maps at the end."""
        found, (high, wide) = taps.all(features), features.grid.shape[1:3]
        seed, grid = self.config.round.seed, (high, wide)
        groups = groups_of(found, self.knobs.block, grid, [*self.members], seed)
        return groups + (maps_of(found, grid) if self.groups > len(groups) else [])

    def joined(self, model: Composite) -> Callable[[Features], np.ndarray]:
        """What makes (B, h, w, N) float32 of a few images' features: the head's features."""
        taps, blocks = self.taps(model), model.part(BLOCKS, Blocks)

        def make(features: Features) -> np.ndarray:
            high, wide = features.grid.shape[1:3]
            groups = self.channels(taps, features)
            found = np.empty((len(features.grid), high, wide, self.width(blocks)), np.float32)
            for k, name in enumerate(features.categories):  # alone: bits depend on no company
                if name not in blocks.categories:
                    raise UploadError(f"no components of {name!a:.80}", "names")
                mine, at = [one[k] for one in groups], blocks.categories.index(name)
                found[k] = projected(mine, blocks, at, (high, wide), residual=self.residual)
            return found

        return make

    def outputs(
        self, model: Composite, features: Features, fold: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each of M outputs the images' scores (M, B), and the maps (M, B, h, w), float32."""
        taps, (high, wide) = self.taps(model, fold), features.grid.shape[1:3]
        maps = taps.anomalies(features)
        scores = [
            one.member.image_scores(map_) for one, map_ in zip(taps.members, maps, strict=True)
        ]
        if self.head is not None:
            headed, mine = self.headed(model, features)
            maps, scores = [*maps, headed], [*scores, mine]
        return np.stack(scores), resized_maps(maps, (high, wide))

    def headed(self, model: Composite, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """The head's maps (B, h, w) and scores (B,)."""
        if self.head is None:
            raise ValueError("an ensemble without a head")
        payload: Any = model.part(HEAD, self.head.rounds[-1].model)
        seen = replace(features, grid=self.joined(model)(features))
        maps, scores = self.head.score(payload, seen)
        return maps, scores

    def calibrator(self, model: Composite) -> Calibrator:
        """What brings outputs to one scale."""
        counts = model.part(COUNTS, ScoreCounts) if model.has(COUNTS) else None
        sums = model.part(SUMS, ScoreSums)
        if (found := sums.count.shape[1]) != 2 * len(self.names):
            raise MismatchError(
                f"ensemble.members = {self.knobs.members!r}: the model has scores of {found} "
                f"outputs, expected two of each of {', '.join(self.names)}: was it learned with "
                "other members, or another head?"
            )
        return Calibrator(sums, counts, self.knobs.calibration)

    def calibrated(
        self, model: Composite, values: np.ndarray, product: str, *, maps: bool = False
    ) -> np.ndarray:
        """(M, ...): scores, or values of maps, (M, ...) of images of one product, calibrated."""
        made, first = self.calibrator(model), len(values) if maps else 0
        return np.stack([made(one, product, first + o) for o, one in enumerate(values)])

    def knows(self, model: Composite, category: str, fold: int | None = None) -> bool:
        """Whether all parts that are there know what is normal of a product; of the members those
        that judge, or that learned less a fold."""
        for name, member in self.members.items():
            part = model.part(part_of(name, fold), member.rounds[-1].model)
            if not member.judges(part, category):
                return False
        kinds: Sequence[tuple[str, Any]] = (
            *((BLOCKS, Blocks), (SUMS, ScoreSums), (TRIALS, ScoreCounts), (MEASURES, Measures)),
            (COUNTS, ScoreCounts),  # a site may have missed the round of one, and not of another
        )
        there = [model.part(part, kind) for part, kind in kinds if model.has(part)]
        return all(category in one.categories for one in there)
