"""ReConPatch over sites (Hyun et al., WACV 2024): a linear map of features, then their bank.

A reconstruction of what is public of it, not a reproduction. In each of `reconpatch.rounds` a site
trains the broadcast modulation f of each of its products, and a projection g behind it, by a
contrastive loss of its own patches, and the server averages both by FedAvg; see `_contrast.py`. In
the round after these, f stands still, and sites send coresets of f(x), which are merged and
searched as PatchCore's are: `coreset.*`, `bank.*` and `score.*` mean the same. g is only for
training.

f starts as a turn of features, which leaves all distances as they are: with as many dimensions as
features and no step this is PatchCore. Slow copies of f and g start anew in each round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import numpy as np
from pydantic import Field

from fedad.averaging.counted import check_images, of_all, of_features
from fedad.averaging.moments import random_axes
from fedad.averaging.reach import check_reach
from fedad.averaging.scoped import ALL, Scoped, averaged_by_group, groups_of
from fedad.averaging.tensors import Averaging
from fedad.banks.bank import Bank
from fedad.errors import UploadError
from fedad.messages.coded import rounded
from fedad.messages.schema import FLOATS, Array, Dtype
from fedad.methods._batches import batches
from fedad.methods.base import FIRST, LeftOut, MethodBase, Round, Traced, Turn, check_scorable
from fedad.methods.patchcore import Knobs as BankKnobs
from fedad.methods.patchcore import PatchCore
from fedad.plumbing.progress import track
from fedad.seeding import stream
from fedad.types import Enrolled, Features, Sample

if TYPE_CHECKING:  # what takes torch is imported when it is used: a server may only average
    from fedad.embedders.in_parts import InParts

__all__ = ["ReConPatch"]

MAPS = ("modulation", "projection")
FEWEST = 2  # patches that have a distance


@dataclass(frozen=True)
class Knobs:
    """`reconpatch.*`: how f and g are trained, and how many dimensions they have."""

    rounds: Annotated[int, Field(ge=1)] = 5  # of training, before the one of banks
    steps: Annotated[int, Field(ge=1)] = 40  # of each round and product
    dimensions: Annotated[int, Field(ge=1)] = 512  # of f(x), at most as many as features
    projected: Annotated[int, Field(ge=1)] = 128  # of g(f(x)), at most as many
    batch: Annotated[int, Field(ge=2)] = 256  # patches of a step
    rate: Annotated[float, Field(gt=0)] = 1e-5  # of learning, by Adam
    k: Annotated[int, Field(ge=1)] = 5  # neighbours, a patch among its own
    margin: Annotated[float, Field(gt=0)] = 1.0  # in mean distances
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5  # of similarity, that is pairwise
    sigma: Annotated[float, Field(gt=0)] = 1.0  # of pairwise similarity, in mean squared distances
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99  # of the slow copies
    averaging: Averaging = "mean"  # or median, trimmed: one site of three cannot move them far


@dataclass(frozen=True, eq=False, kw_only=True)
class Maps(Scoped):
    """f of D features and K dimensions, and g of Z, for each of G groups of products."""

    modulation: Annotated[np.ndarray, Array("G K D", FLOATS)]
    projection: Annotated[np.ndarray, Array("G Z K", FLOATS)]
    dtype: Dtype = "float32"

    def check(self) -> None:
        """Refuse maps of some groups alone."""
        self.check_groups(*MAPS)


@dataclass(frozen=True, eq=False, kw_only=True)
class ModulatedBank(Bank):
    """A bank of f(x), and the f (D, F) of each group that its rows went through."""

    modulation: Annotated[np.ndarray, Array("G D F", FLOATS)]

    def check(self) -> None:
        """Refuse a bank with an f for some groups alone, beside what any bank is refused for."""
        super().check()
        if (size := len(self.modulation)) != len(groups_of(self.scope, self.categories)):
            raise UploadError(f"a bank with {size} modulations", "shape")

    def map_of(self, category: str) -> np.ndarray:
        """(D, F): f of a product."""
        at = 0 if self.scope == "mixed" else self.categories.index(category)
        found: np.ndarray = self.modulation[at]
        return found


@dataclass(frozen=True)
class ReConPatch(MethodBase):
    """The method; see the module."""

    rejoins = True

    @cached_property
    def knobs(self) -> Knobs:
        """`reconpatch.*`."""
        found: Knobs = self.config.knobs("reconpatch")
        return found

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """`reconpatch.rounds` of maps, and one of banks."""
        return (*(Round(Maps, Maps),) * self.knobs.rounds, Round(Bank, ModulatedBank))

    @cached_property
    def bank(self) -> PatchCore:
        """PatchCore as published, for banks of f(x)."""
        plain = {**self.config.plugins, "patchcore": BankKnobs(preset="classic")}
        return PatchCore.of(replace(self.config, plugins=plain), device=self.on)

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Maps | Bank | None = None,
        rng: np.random.Generator,
    ) -> Maps | Bank:
        """The site's f and g after `reconpatch.steps`; in the last round its coresets of f(x)."""
        if self._trains(turn):
            return self._maps(features, turn.model, rng)
        size, mixed = features.shape[-1], self.config.bank.scope == "mixed"
        maps = {
            name: self._known(ALL if mixed else name, turn.model, size)[0]
            for name in {*features.categories}
        }
        bank = self.bank.fit(modulated(features, maps), FIRST, rng=rng)
        return cast(Bank, bank)

    def merge(
        self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator
    ) -> Maps | ModulatedBank:
        """f and g averaged over the sites; in the last round one bank of all coresets, and its f.

        Raises:
            ConfigError: as PatchCore's.
        """
        if self._trains(turn):
            averages: Any = averaged_by_group(
                uploads, MAPS, self.config.merge, self.knobs.averaging
            )
            found: Maps = uploads[0].replace(**averages, **of_all(uploads))
            return found.rounded(self.config.wire.dtype)
        bank: Any = self.bank.merge(uploads, FIRST, rng=rng)
        groups, size = groups_of(bank.scope, bank.categories), turn.model.modulation.shape[2]
        maps = np.stack([self._known(group, turn.model, size)[0] for group in groups])
        parts: Any = {one.name: getattr(bank, one.name) for one in fields(bank)}
        return ModulatedBank(**parts, modulation=maps)

    def score(
        self, model: ModulatedBank, features: Features, *, own: Bank | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As PatchCore's, of f(x).

        Raises:
            MismatchError: features of another backbone than the bank's.
            DataError: an image of a category that no site had a good image of.
        """
        return self.bank.score(model, self._modulated(model, features), own=own)

    def trace(
        self, model: ModulatedBank, features: Features, *, own: Bank | None, site: str
    ) -> Traced:
        """What `score` gives, and whose row each patch was nearest to; see `base.Tracing`."""
        return self.bank.trace(model, self._modulated(model, features), own=own, site=site)

    def judges(self, model: Any, category: str) -> bool:
        """Whether the bank has rows that an image of this category is compared with."""
        return self.bank.judges(model, category)

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What a site enrolled with; in the last round of the width of f(x), and as much longer as
        f makes the longest."""
        if self._trains(turn):
            return site
        f = turn.model.modulation.astype(np.float64)
        stretched = max((float(np.linalg.norm(one, 2)) for one in f), default=1.0)
        return site._replace(features=f.shape[1], longest=site.longest * stretched)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The maps, if they have the size that was asked for; the bank as PatchCore's.

        Raises:
            UploadError: maps of another size or scope, of more images than were enrolled, or
                farther off the broadcast ones than training brings them; what PatchCore refuses.
        """
        if not self._trains(turn):
            return self.bank.admit(upload, site, FIRST)
        wide = min(self.knobs.dimensions, site.features)
        wanted = (wide, site.features), (min(self.knobs.projected, wide), wide)
        if (found := (upload.modulation.shape[1:], upload.projection.shape[1:])) != wanted:
            raise UploadError(f"f and g of {found}, expected {wanted}", "shape")
        if upload.scope != self.config.bank.scope:
            told = f"maps of scope {upload.scope}, expected {self.config.bank.scope}"
            raise UploadError(told, "header")
        check_images(upload, site)
        for at, group in enumerate(upload.groups):
            known = self._known(group, turn.model, site.features)
            check_reach(
                {name: getattr(upload, name)[at] for name in MAPS},
                dict(zip(MAPS, known, strict=True)),
                rate=self.knobs.rate,
                steps=self.knobs.steps,
            )
        return upload, []

    def describe(self, model: ModulatedBank) -> dict[str, Any]:
        """What PatchCore tells of its bank; of how many features f makes each of its own."""
        told = self.bank.describe(model)
        return {**told, "modulated_from": model.modulation.shape[2]}

    def scale(self, model: ModulatedBank) -> dict[str, tuple[float, float]]:
        """0, and twice the usual gap between normal rows."""
        return self.bank.scale(model)

    def without_images(
        self, model: ModulatedBank, own: Bank, site: str, images: Sequence[int]
    ) -> tuple[Bank, Bank]:
        """`model` and `own` less the rows taken from training images; f remembers them still. See
        `base.Forgetting`."""
        return self.bank.without_images(model, own, site, images)

    def without_site(self, model: ModulatedBank, site: str) -> Bank:
        """`model` less the rows of a site; f remembers it still. See `base.Forgetting`."""
        return self.bank.without_site(model, site)

    def leaving_out(self, model: ModulatedBank, own: Bank, site: str) -> LeftOut:
        """What `score` says of an image by `without_images`; see `base.LeavingOut`."""
        score = self.bank.leaving_out(model, own, site)
        return lambda features, images: score(self._modulated(model, features), images)

    def part(
        self,
        model: ModulatedBank,
        own: Bank,
        site: str,
        *,
        rng: np.random.Generator | None = None,
    ) -> tuple[Bank, Bank]:
        """What a site's own rows know, or a half of them; see `base.Dividing`."""
        return self.bank.part(model, own, site, rng=rng)

    def foresee(self, images: Sequence[Mapping[str, int]], patches_per_image: int) -> None:
        """Refuse a `bank.size` above what the sites can upload; see `base.Foreseeing`."""
        self.bank.foresee(images, patches_per_image)

    def _trains(self, turn: Turn) -> bool:
        return turn.number <= self.knobs.rounds

    def _start(self, group: str, features: int) -> tuple[np.ndarray, np.ndarray]:
        """The f (K, D) and g (Z, K) that all sites start from, and that a product has which nobody
        has trained."""
        wide = min(self.knobs.dimensions, features)
        narrow = min(self.knobs.projected, wide)
        rng = stream(self.config.round.seed, "reconpatch", group)
        f, g = (random_axes(*sizes, rng).T for sizes in ((features, wide), (wide, narrow)))
        dtype = self.config.wire.dtype
        return rounded(f.astype(np.float32), dtype), rounded(g.astype(np.float32), dtype)

    def _known(
        self, group: str, model: Maps | None, features: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """f and g of a group as they were broadcast."""
        if model is None or group not in model.groups:
            return self._start(group, features)
        at = model.groups.index(group)
        return model.modulation[at], model.projection[at]

    def _maps(
        self, features: Features | InParts, model: Maps | None, rng: np.random.Generator
    ) -> Maps:
        from fedad.methods._contrast import trained
        from fedad.plumbing.compute import threads

        about, scope = of_features(features), self.config.bank.scope
        groups, found = groups_of(scope, about["categories"]), []
        with track("training", len(groups)) as progress, threads(self.config.embedder.threads):
            for number, group in enumerate(groups, start=1):
                start = self._known(group, model, features.shape[-1])
                steps = islice(self._batches(features, group or None, rng), self.knobs.steps)
                found.append(trained(steps, start, knobs=self.knobs, device=self.device))
                progress(number)
        f, g = (np.stack(one) for one in zip(*found, strict=True))
        return Maps(modulation=f, projection=g, scope=scope, **about)

    def _batches(
        self, features: Features | InParts, category: str | None, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """Batches without end, of all patches in turn; none where there is one patch."""
        while True:
            seen = 0
            for batch in batches(features, category, self.knobs.batch, rng):
                if len(batch) >= FEWEST:
                    seen += 1
                    yield batch
            if not seen:
                return

    def _modulated(self, model: ModulatedBank, features: Features) -> Features:
        """f(x) of features that the model can judge."""
        check_scorable(model, features)
        return modulated(features, {name: model.map_of(name) for name in {*features.categories}})


F = TypeVar("F", bound="Features | InParts")


def modulated(features: F, maps: Mapping[str, np.ndarray]) -> F:
    """The features (B, h, w, D) of each image by the f (K, D) of its product."""
    h, w, _ = features.shape
    size = next(iter(maps.values())).shape[0]
    if not isinstance(features, Features):

        def embed(samples: Sequence[Sample]) -> Features:
            return modulated(features.embed(samples), maps)

        return replace(features, embed=embed, grid=(h, w, size))
    grid = np.empty((len(features.grid), h, w, size), np.float32)
    for image, name in enumerate(features.categories):  # alone: bits do not depend on its company
        grid[image] = features.grid[image] @ maps[name].T
    return replace(features, grid=grid)
