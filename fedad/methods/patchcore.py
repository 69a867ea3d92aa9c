"""PatchCore over sites (Roth et al., CVPR 2022): coresets go up, one bank comes down.

A site keeps `coreset.local-ratio` of its patches, farthest first. The server joins the uploads, and
a site scores a patch by its distance to the nearest row. With `bank.scope = category` every
product has its own bank inside the one that travels; with `mixed` the patches of one product may
explain the defects of another.

`patchcore.preset` says how patches are described before that and how distances are read afterwards:
see `_presets.py`. Rows that end with x and y come with sums that say what these count in: see
`banks/measured.py`. Where `auto` chooses, a round of counts comes first. A bank's fingerprint says
how its rows are described.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from fedad.aggregation.base import Aggregation
from fedad.banks.admission import admit_bank
from fedad.banks.bank import SUMS, Bank, by_value, join
from fedad.banks.describe import describe_bank
from fedad.banks.halves import part_of
from fedad.banks.measured import as_sent, in_place, measured, measures, measures_of
from fedad.banks.origin import knows, of_site, pairs, with_everyone, without_images, without_site
from fedad.banks.scale import scale_of
from fedad.config import Config
from fedad.coresets.base import Coreset
from fedad.descriptors.apply import described_features
from fedad.descriptors.position import joined, places
from fedad.descriptors.settings import ALL, Table, evidence_of, joins, settings_of, table_of
from fedad.dp.released import admit_released, released_rows
from fedad.messages.coded import rounded
from fedad.messages.payload import Payload
from fedad.methods._alike import most_alike
from fedad.methods._counting import counted
from fedad.methods._evidence import Evidence, added, check_counted
from fedad.methods._judged import OWN, Judged, Kept, judged
from fedad.methods._kept import check_seen, cover_of, valid_patches
from fedad.methods._presets import AUTO, CANDIDATES, Preset, preset_of, told_of
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

    preset: Literal["default", "classic", "position", "auto", "custom"] = "default"
    position: Annotated[float, Field(ge=-1, le=100)] = -1.0  # weight of x and y, in spreads
    standardise: Annotated[float, Field(ge=-1, le=1)] = -1.0  # blend, by each image's own measure
    density: Annotated[float, Field(ge=-1, le=4)] = -1.0  # power of how far apart rows lie
    smoothed_maximum: Annotated[float, Field(ge=-1, lt=1)] = -1.0  # share of patches; 0: the oddest
    # Quarter turns, or eighths, at which patches of training images may become rows, for parts that
    # lie in any pose; as many rows are kept as without, and one image remains one image.
    turns: Literal[1, 2, 4, 8] = 1
    least_images: Annotated[int, Field(ge=1)] = 5  # of a product that `auto` counts something of

    @property
    def counts(self) -> bool:
        """Whether sites count something before banks are made."""
        return self.preset == AUTO


@dataclass(frozen=True)
class PatchCore(MethodBase):
    """The method; see the module."""

    leaves_out = True
    kept: Kept | None = field(default=None, compare=False, repr=False)

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
    def settled(self) -> Config:
        """The configuration with its preset written out; see `base.Settling`."""
        knobs = replace(self.config.knobs("patchcore"), preset=self.preset.knobs.preset)
        return replace(self.config, plugins={**self.config.plugins, "patchcore": knobs})

    @property
    def notes(self) -> tuple[str, ...]:
        """What a run's record and console say of which preset it is."""
        return self.preset.notes

    @property
    def rejoins(self) -> bool:  # type: ignore[override]
        """Whether a site that counted nothing may send a bank."""
        return len(self.rounds) > 1

    @property
    def needs_pixels(self) -> bool:  # type: ignore[override]
        """Whether defects are drawn into images."""
        return self.preset.asks is not None

    @property
    def turns(self) -> int:  # type: ignore[override]
        """`patchcore.turns`."""
        return int(self.preset.knobs.turns)

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
    ) -> Bank | Evidence:
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
            preset, config, device = self.preset, self.config, self.device
            return counted(features, preset=preset, config=config, rng=rng, device=device)
        mark = self.preset.fingerprint(features.fingerprint, turn.model)
        of_product = [(categories[k], numbers) for k, numbers in groups]
        table, sums = self._measured(features, of_product, table_of(mark))
        covers = [
            cover_of(
                *(features, None if self._mixed else categories[k], numbers, table),
                config=self.config,
                select=self.select,
                rng=rng,
                device=self.device,
            )
            for k, numbers in ([(0, valid)] if self._mixed else groups)
        ]
        source = np.concatenate([cover.numbers for cover in covers])
        rows = np.concatenate([cover.points for cover in covers])
        if sums:  # places travel as they are
            h, w, size = features.shape
            rows = joined(rows[:, :size], places(h, w)[source % (h * w)], 1.0)
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
            **sums,
            source=source,
            radius=max(cover.radius for cover in covers),
        )

    def merge(
        self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator
    ) -> Bank | Evidence:
        """One bank of `bank.size` rows; where that is 0, of `coreset.local-ratio` of all patches.

        Each site has a row of each product that it gave rows of: a site may hold the server to it.

        Raises:
            ConfigError: a `bank.size` above what was uploaded.
        """

        def choose(points: np.ndarray, size: int, kept: Sequence[int]) -> np.ndarray:
            return self.select(points, size, rng=rng, kept=kept, device=self.device)

        if self._counts(turn):
            found = added(uploads)
            # What cannot be described is refused now, and not by every site.
            table_of(self.preset.fingerprint(found.fingerprint, found))
            return found
        if any(upload.fingerprint.projection for upload in uploads):
            return join([released_rows(upload) for upload in uploads])
        total = join([_lean(upload) for upload in uploads])
        groups = by_group(
            self.config, (measured(self._in_order(upload), total) for upload in uploads)
        )
        # Joined without their features, of which there should not be another copy in memory.
        lean = [join([_lean(bank) for bank in group]) for group in groups]
        sizes = sizes_of(self.config, lean, [pairs(group) for group in groups])
        merged = join(
            [
                with_everyone(
                    self.aggregate(group, size, knobs=self.config.merge, choose=choose), group
                )
                for group, size in zip(groups, sizes, strict=True)
            ]
        )
        return as_sent(merged, uploads, total) if total.squares.size else merged

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

    def prepared(self, model: Bank, own: Bank | None) -> PatchCore:
        """The same, which measures once how far apart rows are; see `base.Preparing`."""
        return replace(self, kept=Kept(model, own))

    def alike(
        self, model: Bank, own: Bank, features: Features, patch: tuple[int, int]
    ) -> tuple[int, int] | None:
        """Where in the site's own images the row is that is nearest; see `base.Locating`."""
        return most_alike(measured(model), measured(own, model), features, patch)

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
        table, why = measures_of(model), evidence_of(model.fingerprint)
        told = told_of(table, why, in_place(model))
        return {**describe_bank(model), "described": told or "as the network gives them"}

    def scale(self, model: Bank) -> dict[str, tuple[float, float]]:
        """0, and twice the usual gap between normal rows."""
        model = measured(model)
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
        own, model = measured(own, model), measured(model)
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
        """`model` less the rows of a site, and its sums; see `base.Forgetting`."""
        return without_site(model, site)

    def foresee(self, images: Sequence[Mapping[str, int]], patches_per_image: int) -> None:
        """Refuse a `bank.size` above what the sites can upload; see `base.Foreseeing`."""
        foresee_size(self.config, images, patches_per_image)

    def _judged(self, model: Bank, features: Features, own: Bank | None) -> Judged:
        kept, knobs = self.kept, self.config.score
        if kept is None or not kept.is_of(model, own):
            kept = Kept(model, own)
        return judged(kept, features, scoring=self.nearest, knobs=knobs, device=self.device)

    def _measured(
        self, features: Features | InParts, products: Sequence[tuple[str, np.ndarray]], table: Table
    ) -> tuple[Table, dict[str, Any]]:
        """How a site describes what it selects among, by sums of its own; and these sums."""
        if not joins(table):
            return table, {}
        from fedad.methods._in_place import sums_of

        sums = sums_of(features, products, table, self.device)
        patches = np.array([[len(numbers) for _, numbers in products]])
        of_each = [one.T for one in (patches, *(sums[name] for name in SUMS))]
        if self._mixed:
            return measures(table, (ALL,), *(one.reshape(1, -1) for one in of_each)), sums
        return measures(table, [name for name, _ in products], *of_each), sums

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
