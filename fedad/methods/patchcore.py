"""PatchCore over sites (Roth et al., CVPR 2022): coresets go up, one bank comes down.

A site keeps `coreset.local-ratio` of its patches, farthest first. The server joins the uploads, and
a site scores a patch by its distance to the nearest row. With `bank.scope = category` every
product has its own bank inside the one that travels; with `mixed` the patches of one product may
explain the defects of another.

`patchcore.preset` says how patches are described before that and how distances are read afterwards:
see `_presets.py`. Where it takes the spread of features, or evidence, of all sites, a round of
counts comes first, and the bank's fingerprint says what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from fedad.aggregation.base import Aggregation
from fedad.banks.admission import admit_bank
from fedad.banks.bank import Bank, by_value, join
from fedad.banks.describe import describe_bank
from fedad.banks.halves import part_of
from fedad.banks.origin import knows, of_site, pairs, with_everyone, without_images, without_site
from fedad.banks.scale import scale_of
from fedad.config import Config
from fedad.coresets.base import Coreset
from fedad.descriptors.apply import described_features
from fedad.descriptors.settings import OFF, evidence_of, settings_of, table_of
from fedad.dp.released import admit_released, released_rows
from fedad.messages.coded import rounded
from fedad.messages.payload import Payload
from fedad.methods._counting import counted
from fedad.methods._evidence import Evidence, Spread, added, check_counted
from fedad.methods._judged import OWN, Judged, judged
from fedad.methods._kept import check_seen, cover_of, valid_patches
from fedad.methods._presets import CANDIDATES, Preset, preset_of, told_of
from fedad.methods._sizes import by_group, foresee_size, sizes_of
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

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["PatchCore"]


@dataclass(frozen=True)
class Knobs:
    """`patchcore.*`: a preset, or with `custom` the four knobs as they are written; -1: by the
    preset, which is 0 with `custom`."""

    preset: Literal["classic", "position", "auto", "custom"] = "classic"
    position: Annotated[float, Field(ge=-1, le=100)] = -1.0  # weight of x and y, in spreads
    standardise: Annotated[float, Field(ge=-1, le=1)] = -1.0  # blend, by each image's own measure
    density: Annotated[float, Field(ge=-1, le=4)] = -1.0  # power of how far apart rows lie
    smoothed_maximum: Annotated[float, Field(ge=-1, lt=1)] = -1.0  # share of patches; 0: the oddest
    least_images: Annotated[int, Field(ge=1)] = 5  # of a product that a site counts something of

    @property
    def counts(self) -> bool:
        """Whether sites count something before banks are made."""
        return self.preset in ("position", "auto") or self.position > 0


@dataclass(frozen=True)
class PatchCore(MethodBase):
    """The method; see the module."""

    leaves_out = True

    @classmethod
    def of(cls, config: Config, *, device: str = "cpu") -> Self:
        """The method with its knobs.

        Raises:
            ConfigError: a knob that the preset would not heed, or does not go with.
        """
        preset_of(config)
        return cls(config, device)

    @cached_property
    def preset(self) -> Preset:
        """`patchcore.preset`."""
        return preset_of(self.config)

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """One round of banks; before it, where sites are asked for counts, one of these."""
        banks, asked = Round(Bank, Bank), self.preset.asks
        return (Round(asked, asked), banks) if asked else (banks,)

    @property
    def describes(self) -> bool:
        """Whether rows may be anything else than features as the network gives them."""
        return bool(self.preset.asks) or self.preset.wanted != OFF

    @property
    def rejoins(self) -> bool:  # type: ignore[override]
        """Whether a site that counted nothing may send a bank."""
        return len(self.rounds) > 1

    @property
    def needs_pixels(self) -> bool:  # type: ignore[override]
        """Whether defects are drawn into images."""
        return self.preset.asks is Evidence

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
        own: Payload | None = None,
        rng: np.random.Generator,
    ) -> Bank | Spread:
        """Keep `coreset.local-ratio` of the patches: of each category, or of all where mixed.

        In a round before that of banks, count.
        """
        categories = tuple(sorted(set(features.categories)))
        of_image = np.array([categories.index(name) for name in features.categories], np.int32)
        of_patch = np.repeat(of_image, features.patches_per_image)
        valid = valid_patches(features)
        images = np.bincount(of_image, minlength=len(categories))[None]
        patches = np.bincount(of_patch[valid], minlength=len(categories))[None]
        groups = [(k, valid[of_patch[valid] == k]) for k in range(len(categories))]
        check_seen(patches[0], categories)
        if self._counts(turn):
            of_product = {categories[k]: numbers for k, numbers in groups}
            preset, config, device = self.preset, self.config, self.device
            return counted(
                features, of_product, preset=preset, config=config, rng=rng, device=device
            )
        mark = self.preset.fingerprint(features.fingerprint, turn.model)
        covers = [
            cover_of(
                *(features, None if self._mixed else categories[k], numbers, mark),
                config=self.config,
                select=self.select,
                rng=rng,
                device=self.device,
            )
            for k, numbers in ([(0, valid)] if self._mixed else groups)
        ]
        source = np.concatenate([cover.numbers for cover in covers])
        rows = np.concatenate([cover.points for cover in covers])
        if not self._ranked:  # the order in which rows were drawn would tell which patches they are
            order = by_value(rounded(rows, self.config.wire.dtype))
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
            fingerprint=mark,
            scope=self.config.bank.scope,
            source=source,
            radius=max(cover.radius for cover in covers),
        )

    def merge(
        self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator
    ) -> Bank | Spread:
        """One bank of `bank.size` rows; where that is 0, of `coreset.local-ratio` of all patches.

        Each site has a row of each product that it gave rows of: a site may hold the server to it.

        Raises:
            ConfigError: a `bank.size` above what was uploaded.
        """

        def choose(points: np.ndarray, size: int, kept: Sequence[int]) -> np.ndarray:
            return self.select(points, size, rng=rng, kept=kept, device=self.device)

        if self._counts(turn):
            total = added(uploads)
            # What cannot be described is refused now, and not by every site.
            table_of(self.preset.fingerprint(total.fingerprint, total))
            return total
        if any(upload.fingerprint.projection for upload in uploads):
            return join([released_rows(upload) for upload in uploads])
        groups = by_group(self.config, [self._in_order(upload) for upload in uploads])
        # Joined without their features, of which there should not be another copy in memory.
        lean = [join([_lean(bank) for bank in group]) for group in groups]
        sizes = sizes_of(self.config, lean, [pairs(group) for group in groups])
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
        found = self._judged(model, features, own)
        return found.maps, found.scores

    def trace(self, model: Bank, features: Features, *, own: Bank | None, site: str) -> Traced:
        """What `score` gives, and whose row each patch was nearest to; see `base.Tracing`."""
        maps, scores, whose = self._judged(model, features, own)
        alone = self._alone(model, features, own, site, together=scores)
        names = model.sites if site in model.sites else (*model.sites, site)
        whose = np.where(whose == OWN, names.index(site), whose)
        if features.valid is not None:
            whose = np.where(features.valid, whose, NOBODY)
        return Traced(maps, scores, names, whose, alone)

    def judges(self, model: Bank, category: str) -> bool:
        """Whether the bank has rows that an image of this category is compared with."""
        return knows(model, category)

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What a site enrolled with, as the uploads of this round have it."""
        return site if self._counts(turn) else self.preset.expected(site, turn.model)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The bank with counts that can be true; see `banks/admission.py`. One that is a private
        release is held against its public form; see `dp/released.py`."""
        if self._counts(turn):
            check_counted(
                upload,
                site,
                blends=len(self.preset.blends),
                candidates=len(CANDIDATES),
                least=self.preset.knobs.least_images,
            )
            return upload, []
        if upload.fingerprint.projection:
            return admit_released(upload, site), []
        return admit_bank(self.config, upload, site)

    def describe(self, model: Bank) -> dict[str, Any]:
        """How many rows, of which site and category, how many images they stand for, and how they
        are described."""
        told = told_of(model.fingerprint, evidence_of(model.fingerprint))
        return {**describe_bank(model), **({"described": told} if told else {})}

    def scale(self, model: Bank) -> dict[str, tuple[float, float]]:
        """0, and twice the usual gap between normal rows."""
        table = table_of(model.fingerprint)
        return {
            name: (low, high / (high / 2) ** settings_of(table, name).density)
            for name, (low, high) in scale_of(model).items()
        }

    def without_images(
        self, model: Bank, own: Bank, site: str, images: Sequence[int]
    ) -> tuple[Bank, Bank]:
        """`model` and `own` less the rows taken from training images; see `base.Forgetting`."""
        return without_images(model, own, site, images)

    def leaving_out(self, model: Bank, own: Bank, site: str) -> LeftOut:
        """What `score` says of an image by `without_images`; see `base.LeavingOut`."""
        plain, knobs = forgotten(self, model, own, site), self.config.score
        table = table_of(model.fingerprint)
        if any(one.density or one.smoothed_maximum for one in table.values()):
            return plain
        if knobs.search != "torch" or knobs.neighbours > 1 or model.fingerprint.projection:
            return plain
        from fedad.scoring.without_images import QUICK, WithoutImages

        if knobs.scoring not in QUICK:
            return plain
        quick = WithoutImages(model, own, site, knobs, self.device)

        def score(features: Features, images: Sequence[int]) -> float | None:
            if (found := quick.score(described_features(features, table), images)) is None:
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
        foresee_size(self.config, images, patches_per_image)

    def _judged(self, model: Bank, features: Features, own: Bank | None) -> Judged:
        knobs, scoring = self.config.score, self.nearest
        return judged(model, features, own, scoring=scoring, knobs=knobs, device=self.device)

    def _counts(self, turn: Turn) -> bool:
        """Whether this is a round of counts, before that of banks."""
        return turn.number < len(self.rounds)

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


def _lean(bank: Bank) -> Bank:
    """The bank with no feature of any row: how many rows there are, and what they stand for."""
    return bank.replace(rows=bank.rows[:, :0])
