"""PatchCore over sites (Roth et al., CVPR 2022): coresets go up, one bank comes down.

A site keeps `coreset.local-ratio` of its patches, farthest first. The server joins the uploads, and
a site scores a patch by its distance to the nearest row. With `bank.scope = category` every
product has its own bank inside the one that travels; with `mixed` the patches of one product may
explain the defects of another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.aggregation.base import DISTRUSTING, Aggregation, believed, shares_of_at_least
from fedad.banks.admission import admit_bank
from fedad.banks.bank import Bank, by_value, join
from fedad.banks.capacity import kept_rows, uploadable
from fedad.banks.describe import describe_bank
from fedad.banks.halves import part_of
from fedad.banks.origin import knows, of_site, pairs, with_everyone, without_images, without_site
from fedad.banks.scale import scale_of
from fedad.coresets.base import Coreset
from fedad.dp.projected import as_rows
from fedad.dp.released import admit_released, released_rows
from fedad.errors import ConfigError, DataError
from fedad.methods.base import (
    NOBODY,
    LeftOut,
    MethodBase,
    Round,
    Traced,
    Turn,
    check_scorable,
    forgotten,
    scores_where_judged,
)
from fedad.plugins import states
from fedad.scoring.base import Scoring
from fedad.seeding import stream
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server may only merge
    from fedad.banks.coreset_in_parts import Cover
    from fedad.embedders.in_parts import InParts

__all__ = ["PatchCore"]

OWN = -1  # in place of a site's number: the site's own bank, which did not travel


@dataclass(frozen=True)
class PatchCore(MethodBase):
    """The method; see the module."""

    rounds = (Round(Bank, Bank),)
    leaves_out = True

    @cached_property
    def select(self) -> Coreset:
        """`coreset.selection`."""
        return self.config.configured("coreset.selection")

    @cached_property
    def aggregate(self) -> Aggregation:
        """`merge.aggregation`."""
        return self.config.configured("merge.aggregation")

    @cached_property
    def nearest(self) -> Scoring:
        """`score.scoring`."""
        return self.config.configured("score.scoring")

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Bank | None = None,
        rng: np.random.Generator,
    ) -> Bank:
        """Keep `coreset.local-ratio` of the patches: of each category, or of all where mixed."""
        categories = tuple(sorted(set(features.categories)))
        of_image = np.array([categories.index(name) for name in features.categories], np.int32)
        of_patch = np.repeat(of_image, features.patches_per_image)
        valid = _valid_patches(features)
        images = np.bincount(of_image, minlength=len(categories))[None]
        patches = np.bincount(of_patch[valid], minlength=len(categories))[None]
        groups = [(k, valid[of_patch[valid] == k]) for k in range(len(categories))]
        _check_seen(patches[0], categories)
        covers = [
            self._cover(features, None if self._mixed else categories[k], numbers, rng)
            for k, numbers in ([(0, valid)] if self._mixed else groups)
        ]
        source = np.concatenate([cover.numbers for cover in covers])
        rows = np.concatenate([cover.points for cover in covers])
        if not self._ranked:  # the order in which rows were drawn would tell which patches they are
            order = by_value(rows.astype(self.config.wire.dtype).astype(np.float32))
            rows, source = rows[order], source[order]
        return Bank(
            rows=rows,
            category=of_patch[source],
            site=np.zeros(len(source), np.int32),
            row=np.arange(len(source), dtype=np.int32),
            categories=categories,
            sites=("",),
            images=images,
            patches=patches,
            fingerprint=features.fingerprint,
            scope=self.config.bank.scope,
            source=source,
            radius=max(cover.radius for cover in covers),
        )

    def merge(self, uploads: Sequence[Bank], turn: Turn, *, rng: np.random.Generator) -> Bank:
        """One bank of `bank.size` rows; where that is 0, of `coreset.local-ratio` of all patches.

        Each site has a row of each product that it gave rows of: a site may hold the server to it.

        Raises:
            ConfigError: a `bank.size` above what was uploaded.
        """

        def choose(points: np.ndarray, size: int, kept: Sequence[int]) -> np.ndarray:
            return self.select(points, size, rng=rng, kept=kept, device=self.device)

        if any(upload.fingerprint.projection for upload in uploads):
            return join([released_rows(upload) for upload in uploads])
        groups = self._by_group([self._in_order(upload) for upload in uploads])
        # Joined without their features, of which there should not be another copy in memory.
        counted = [join([_counted(bank) for bank in group]) for group in groups]
        sizes = self._sizes(counted, [pairs(group) for group in groups])
        return join(
            [
                with_everyone(
                    self.aggregate(group, size, knobs=self.config.merge, choose=choose), group
                )
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
        maps, scores, _ = self._nearest(model, features, own)
        return maps, scores

    def trace(self, model: Bank, features: Features, *, own: Bank | None, site: str) -> Traced:
        """What `score` gives, and whose row each patch was nearest to; see `base.Tracing`."""
        maps, scores, whose = self._nearest(model, features, own)
        alone = self._alone(model, features, own, site, together=scores)
        names = model.sites if site in model.sites else (*model.sites, site)
        whose = np.where(whose == OWN, names.index(site), whose)
        if features.valid is not None:
            whose = np.where(features.valid, whose, NOBODY)
        return Traced(maps, scores, names, whose, alone)

    def judges(self, model: Bank, category: str) -> bool:
        """Whether the bank has rows that an image of this category is compared with."""
        return knows(model, category)

    def admit(self, upload: Bank, site: Enrolled, turn: Turn) -> tuple[Bank, list[str]]:
        """The bank with counts that can be true; see `banks/admission.py`. One that is a private
        release is held against its public form; see `dp/released.py`."""
        if upload.fingerprint.projection:
            return admit_released(upload, site), []
        return admit_bank(self.config, upload, site)

    def describe(self, model: Bank) -> dict[str, Any]:
        """How many rows, of which site and category, and how many images they stand for."""
        return describe_bank(model)

    def scale(self, model: Bank) -> dict[str, tuple[float, float]]:
        """0, and twice the usual gap between normal rows."""
        return scale_of(model)

    def without_images(
        self, model: Bank, own: Bank, site: str, images: Sequence[int]
    ) -> tuple[Bank, Bank]:
        """`model` and `own` less the rows taken from training images; see `base.Forgetting`."""
        return without_images(model, own, site, images)

    def leaving_out(self, model: Bank, own: Bank, site: str) -> LeftOut:
        """What `score` says of an image by `without_images`; see `base.LeavingOut`."""
        plain, knobs = forgotten(self, model, own, site), self.config.score
        if knobs.search != "torch" or knobs.neighbours > 1 or model.fingerprint.projection:
            return plain
        from fedad.scoring.without_images import QUICK, WithoutImages

        if knobs.scoring not in QUICK:
            return plain
        quick = WithoutImages(model, own, site, knobs, self.device)

        def score(features: Features, images: Sequence[int]) -> float | None:
            if (found := quick.score(features, images)) is None:
                return plain(features, images)
            check_scorable(model, features)
            return found

        return score

    def part(
        self, model: Bank, own: Bank, site: str, *, rng: np.random.Generator | None = None
    ) -> tuple[Bank, Bank]:
        """What a site's own rows know, or a half of them; see `base.Dividing`."""
        return part_of(model, own, site, rng)

    def without_site(self, model: Bank, site: str) -> Bank:
        """`model` less the rows of a site; see `base.Forgetting`."""
        return without_site(model, site)

    def foresee(self, images: Sequence[Mapping[str, int]], patches_per_image: int) -> None:
        """Refuse a `bank.size` above what the sites can upload; see `base.Foreseeing`."""
        rows = uploadable(self.config, images, patches_per_image)
        least = sum(count > 0 for counts in images for count in counts.values())
        if self.config.bank.size:
            _check_pairs(self.config.bank.size, least)
        if self.config.bank.size > rows:
            raise ConfigError(
                f"bank.size = {self.config.bank.size}: the sites can upload {rows} rows: "
                "lower it, or raise coreset.local-ratio"
            )

    def _nearest(
        self, model: Bank, features: Features, own: Bank | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Maps, image scores, and (B, h, w) int32: the number in `model.sites` of the site that
        the nearest row of each patch is from, or `OWN`."""
        check_scorable(model, features)
        from fedad.search.image_scores import image_scores

        maps = np.empty(features.grid.shape[:3], np.float32)
        scores = np.empty(len(maps), np.float32)
        whose = np.empty(maps.shape, np.int32)
        for images, bank in self._banks(model, features):
            grid = features.grid if len(images) == len(maps) else features.grid[images]
            patches = grid.reshape(-1, grid.shape[-1])
            found = self.nearest(
                bank,
                patches,
                own=_same_part(own, bank),
                knobs=self.config.score,
                device=self.device,
            )
            if features.valid is not None:
                found = found._replace(
                    distance=np.where(features.valid[images].ravel(), found.distance, np.float32(0))
                )
            maps[images] = found.distance.reshape(grid.shape[:3])
            at = np.append(bank.site, OWN)[np.minimum(found.row, len(bank))]
            whose[images] = at.reshape(grid.shape[:3])
            scores[images] = image_scores(
                found,
                as_rows(bank.fingerprint, patches),
                bank.rows,
                per_image=features.patches_per_image,
                neighbours=self.config.score.neighbours,
            )
        return maps, scores, whose

    @property
    def _ranked(self) -> bool:
        """Whether the order of selection is one of values, which may leave the site."""
        return states("coresets", self.config.coreset.selection, "RANKED = True")

    def _in_order(self, upload: Bank) -> Bank:
        """The upload so that its first rows are a smaller coreset: by rank, or drawn."""
        if self._ranked or len(upload.sites) > 1:
            return upload.in_selection_order()
        rng = stream(self.config.round.seed, *upload.sites, "merge")
        return upload.take(rng.permutation(len(upload)))

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
        from fedad.banks.coreset_in_parts import Cover, cover_in_parts

        size = kept_rows(self.config, len(patches))
        parts = features.parts(category)
        if isinstance(features, Features):
            (points,) = parts
            rows = self.select(points, size, rng=rng, device=self.device)
            return Cover(points[rows], patches[rows], math.nan)
        found = cover_in_parts(
            parts, size, len(patches), rng=rng, memory=features.memory, device=self.device
        )
        return found._replace(numbers=patches[found.numbers])

    def _alone(
        self,
        model: Bank,
        features: Features,
        own: Bank | None,
        site: str,
        *,
        together: np.ndarray,
    ) -> np.ndarray:
        """(B,): the images' scores by the rows that `site` gave; NaN of a product it gave none of.

        They are `together`, the scores by all rows, where nobody else gave any.
        """
        mine = of_site(model, site)
        if mine.all():
            return together.astype(float)
        return scores_where_judged(self, model.take(np.flatnonzero(mine)), features, own)

    def _by_group(self, uploads: Sequence[Bank]) -> list[list[Bank]]:
        """The uploads whose rows compete for the same places: all, or those of each category."""
        if self._mixed:
            return [list(uploads)]
        categories = sorted({name for upload in uploads for name in upload.categories})
        return [
            [upload.of_category(name) for upload in uploads if name in upload.categories]
            for name in categories
        ]

    def _sizes(self, groups: Sequence[Bank], least: Sequence[int]) -> list[int]:
        """How many rows each group keeps, a row for each site and product at least; `bank.size` is
        shared by image count."""
        uploaded = [len(group) for group in groups]
        wanted = self.config.bank.size
        if not wanted:
            kept = [kept_rows(self.config, int(self._total(group.patches))) for group in groups]
            return [
                min(max(rows, few), most)
                for rows, few, most in zip(kept, least, uploaded, strict=True)
            ]
        if wanted > sum(uploaded):
            raise ConfigError(
                f"bank.size = {wanted}: the sites uploaded {sum(uploaded)} rows: "
                "lower it, or raise coreset.local-ratio"
            )
        _check_pairs(wanted, sum(least))
        weights = [self._total(group.images) for group in groups]
        return shares_of_at_least(least, weights, wanted, uploaded)

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
            images = np.array([i for i, c in enumerate(features.categories) if c == name])
            yield images, model.of_category(name)


def _valid_patches(features: Features | InParts) -> np.ndarray:
    """The numbers of the valid patches, among those of all images' patches."""
    if features.valid is None:
        return np.arange(len(features.categories) * features.patches_per_image)
    return np.flatnonzero(features.valid)


def _check_seen(patches: np.ndarray, categories: Sequence[str]) -> None:
    """Refuse a product of whose images nothing is looked at."""
    if unseen := [name for name, count in zip(categories, patches, strict=True) if not count]:
        raise DataError(f"{unseen[0]}: no patch of its good images is in the region of interest")


def _check_pairs(size: int, least: int) -> None:
    """Refuse a `bank.size` in which not each product of each site can have a row."""
    if size < least:
        raise ConfigError(
            f"bank.size = {size}: {least} pairs of a site and a product have good images, and each "
            "has a row in the bank: raise it"
        )


def _counted(bank: Bank) -> Bank:
    """The bank with no feature of any row: how many rows there are, and what they stand for."""
    return bank.replace(rows=bank.rows[:, :0])


def _same_part(own: Bank | None, bank: Bank) -> Bank | None:
    """What a site's own bank has of the category that `bank` is the part of; all where mixed."""
    if own is None or bank.scope == "mixed":
        return own
    (category,) = bank.categories
    return own.of_category(category) if category in own.categories else None
