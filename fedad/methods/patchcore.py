"""PatchCore over sites (Roth et al., CVPR 2022): coresets go up, one bank comes down.

A site keeps `coreset.local-ratio` of its patches, farthest first. The server joins the uploads, and
a site scores a patch by its distance to the nearest row. With `bank.scope = category` every
product has its own bank inside the one that travels; with `mixed` the patches of one product may
explain the defects of another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from fedad.aggregation.base import DISTRUSTING, Aggregation, believed, shares
from fedad.compute import device_of
from fedad.config import Config
from fedad.coresets.base import Coreset
from fedad.errors import ConfigError, DataError, MismatchError
from fedad.methods.base import OWN
from fedad.plugins import plugin
from fedad.scoring.base import Scoring
from fedad.types import Bank, Features, join

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server may only merge
    from fedad.coresets._parts import Cover
    from fedad.embedders.in_parts import InParts

__all__ = ["PatchCore"]


@dataclass(frozen=True)
class PatchCore:
    config: Config
    on: str = "cpu"  # auto, cpu or cuda
    rounds: int = 1

    @classmethod
    def of(cls, config: Config, *, device: str = "cpu") -> Self:
        return cls(config, device)

    @cached_property
    def select(self) -> Coreset:
        return plugin("coresets", self.config.coreset.selection)

    @cached_property
    def aggregate(self) -> Aggregation:
        return plugin("aggregation", self.config.merge.aggregation)

    @cached_property
    def nearest(self) -> Scoring:
        return plugin("scoring", self.config.score.scoring)

    @cached_property
    def device(self) -> str:
        return device_of(self.on)

    def fit(
        self, features: Features | InParts, model: Bank | None, *, rng: np.random.Generator
    ) -> Bank:
        """`coreset.local-ratio` of the patches: of each category, or of all where mixed."""
        categories = tuple(sorted(set(features.categories)))
        of_image = np.array([categories.index(name) for name in features.categories], np.int32)
        of_patch = np.repeat(of_image, features.patches_per_image)
        images = np.bincount(of_image, minlength=len(categories))[None]
        groups = [(name, np.flatnonzero(of_patch == k)) for k, name in enumerate(categories)]
        covers = [
            self._cover(features, name, patches, rng)
            for name, patches in ([(None, np.arange(len(of_patch)))] if self._mixed else groups)
        ]
        source = np.concatenate([cover.numbers for cover in covers])
        return Bank(
            rows=np.concatenate([cover.points for cover in covers]),
            category=of_patch[source],
            site=np.zeros(len(source), np.int32),
            row=np.arange(len(source), dtype=np.int32),
            categories=categories,
            sites=("",),
            images=images,
            patches=images * features.patches_per_image,
            fingerprint=features.fingerprint,
            scope=self.config.bank.scope,
            source=source,
            radius=max(cover.radius for cover in covers),
        )

    def merge(
        self, uploads: Sequence[Bank], model: Bank | None, *, rng: np.random.Generator
    ) -> Bank:
        """One bank of `bank.size` rows; where that is 0, of `coreset.local-ratio` of all patches.

        Raises:
            ValueError: uploads that do not mix.
            ConfigError: a `bank.size` above what was uploaded.
        """

        def choose(points: np.ndarray, size: int, kept: Sequence[int]) -> np.ndarray:
            return self.select(points, size, rng=rng, kept=kept, device=self.device)

        groups = self._by_group(uploads)
        # Joined without their features, of which there should not be another copy in memory.
        sizes = self._sizes([join([_counted(bank) for bank in group]) for group in groups])
        return join(
            [
                self.aggregate(group, size, knobs=self.config.merge, choose=choose)
                for group, size in zip(groups, sizes, strict=True)
            ]
        )

    def score(
        self, model: Bank, features: Features, *, own: Bank | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the nearest row of the bank, of the image's category unless mixed.

        Raises:
            MismatchError: features of another backbone than the bank's.
            DataError: an image of a category that no site had a good image of.
        """
        maps, scores, _ = self.trace(model, features, own=own)
        return maps, scores

    def trace(
        self, model: Bank, features: Features, *, own: Bank | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `score` gives, and whose row each patch was nearest to; see `base.Tracing`."""
        if differing := model.fingerprint.differences(features.fingerprint):
            raise MismatchError(
                f"the bank and these images were embedded differently ({'; '.join(differing)})"
            )
        from fedad.scoring._images import image_scores

        maps = np.empty(features.grid.shape[:3], np.float32)
        scores = np.empty(len(maps), np.float32)
        whose = np.empty(maps.shape, np.int32)
        for images, bank in self._banks(model, features):
            grid = features.grid[images]
            patches = grid.reshape(-1, grid.shape[-1])
            found = self.nearest(
                bank,
                patches,
                own=_same_part(own, bank),
                knobs=self.config.score,
                device=self.device,
            )
            maps[images] = found.distance.reshape(grid.shape[:3])
            at = np.append(bank.site, OWN)[np.minimum(found.row, len(bank))]
            whose[images] = at.reshape(grid.shape[:3])
            scores[images] = image_scores(
                found,
                patches,
                bank.rows,
                per_image=features.patches_per_image,
                neighbours=self.config.score.neighbours,
            )
        return maps, scores, whose

    @property
    def _mixed(self) -> bool:
        return self.config.bank.scope == "mixed"

    def _cover(
        self,
        features: Features | InParts,
        category: str | None,
        patches: np.ndarray,
        rng: np.random.Generator,
    ) -> Cover:
        """What is kept of a category (None: of all), whose patches have these numbers."""
        from fedad.coresets._parts import Cover, cover_in_parts

        size = self._kept(len(patches))
        parts = features.parts(category)
        if isinstance(features, Features):
            (points,) = parts
            rows = self.select(points, size, rng=rng, device=self.device)
            return Cover(points[rows], patches[rows], math.nan)
        found = cover_in_parts(
            parts, size, len(patches), rng=rng, memory=features.memory, device=self.device
        )
        return found._replace(numbers=patches[found.numbers])

    def _kept(self, patches: int) -> int:
        return max(1, math.floor(self.config.coreset.local_ratio * patches + 1e-9))

    def _by_group(self, uploads: Sequence[Bank]) -> list[list[Bank]]:
        """The uploads whose rows compete for the same places: all, or those of each category."""
        if self._mixed:
            return [list(uploads)]
        categories = sorted({name for upload in uploads for name in upload.categories})
        return [
            [upload.of_category(name) for upload in uploads if name in upload.categories]
            for name in categories
        ]

    def _sizes(self, groups: Sequence[Bank]) -> list[int]:
        """How many rows each group keeps; `bank.size` is shared by image count."""
        uploaded = [len(group) for group in groups]
        wanted = self.config.bank.size
        if not wanted:
            kept = [self._kept(int(self._total(group.patches))) for group in groups]
            return [min(pair) for pair in zip(kept, uploaded, strict=True)]
        if wanted > sum(uploaded):
            raise ConfigError(
                f"bank.size = {wanted}: the sites uploaded {sum(uploaded)} rows: "
                "lower it, or raise coreset.local-ratio"
            )
        return shares([self._total(group.images) for group in groups], wanted, uploaded)

    def _total(self, counts: np.ndarray) -> float:
        """The sum of a table (S, C), in which an untrusted site has only what is believed of it."""
        of_site = counts.sum(axis=1).tolist()
        return sum(believed(of_site) if self.config.merge.aggregation == DISTRUSTING else of_site)

    def _banks(self, model: Bank, features: Features) -> Iterator[tuple[np.ndarray, Bank]]:
        """Numbers of images, and the part of the bank that they are scored with."""
        if model.scope == "mixed":
            yield np.arange(len(features.grid)), model
            return
        for name in sorted(set(features.categories)):
            if name not in model.categories:
                raise DataError(
                    f"category {name!r}: no site has a good image of it, and the bank knows only "
                    f"{', '.join(model.categories)}"
                )
            images = np.array([i for i, c in enumerate(features.categories) if c == name])
            yield images, model.of_category(name)


def _counted(bank: Bank) -> Bank:
    """The bank with no feature of any row: how many rows there are, and what they stand for."""
    return bank.replace(rows=bank.rows[:, :0])


def _same_part(own: Bank | None, bank: Bank) -> Bank | None:
    """What a site's own bank has of the category that `bank` is the part of; all where mixed."""
    if own is None or bank.scope == "mixed":
        return own
    (category,) = bank.categories
    return own.of_category(category) if category in own.categories else None
