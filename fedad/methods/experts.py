"""Experts over sites: a router of images, an expert a sub-class, and features that are adapted.

A reconstruction of what is public of Adapted-MoE (arXiv 2409.05611), not a reproduction. A product
may be of several normal kinds, and what is judged may lie elsewhere than what was learned from.

1. **Routes.** Each site sends centroids of its own images' signatures (`_router.py`); the server
   joins them by spherical k-means, in as many clusters as may be.
2. **Votes.** Sites say how well each number of clusters tells their images apart, and where the
   patches lie of the images that go to each; both are sums. The server settles the experts.
3. **Projection**, if asked for. Signatures are projected so that images of an expert come close
   (`_projection.py`); sites train it in some rounds, and the server averages.
4. **Experts.** A bank a sub-class, in one round; or a discriminator a sub-class, averaged over the
   sites that have images of it in `discriminator.rounds`. Features are adapted (`_adaptation.py`).
5. **Scale.** Where scores are calibrated, sites count those of held-out good images by expert.

An expert is to `patchcore` or `discriminator` what a product is: `coreset.*`, `merge.*`, `score.*`
and `discriminator.*` mean the same. What a model was made with travels in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from fedad.averaging.counted import of_features
from fedad.config import Config
from fedad.errors import ConfigError, DataError
from fedad.methods._adaptation import Adapt
from fedad.methods._calibration import BINS, Calibrate, counted, held_out
from fedad.methods._expert_models import BankExperts, HeadExperts, made_of
from fedad.methods._experts import (
    Experts,
    Projections,
    Routes,
    SiteBank,
    SiteHeads,
    Tally,
    Votes,
    as_seen,
    at_site,
    usual_rows,
)
from fedad.methods._experts_door import (
    check_products,
    check_projections,
    check_routes,
    check_tally,
    check_votes,
    expert_by_expert,
)
from fedad.methods._router import Router, check_pattern, width_of
from fedad.methods._routing import (
    NOBODY,
    Points,
    assigned,
    known,
    points_of,
    projections_of,
    routes_of,
    usual_at,
    votes_of,
)
from fedad.methods._seen import seen_as
from fedad.methods._settling import candidates, projecting, scaled, settled
from fedad.methods.base import MethodBase, Round, Turn, check_scorable
from fedad.methods.discriminator import Discriminator
from fedad.methods.patchcore import Knobs as BankKnobs
from fedad.methods.patchcore import PatchCore
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["AdaptedExperts"]

HEEDS = "discriminator"


@dataclass(frozen=True)
class Knobs:
    """`experts.*`: the router, how features are adapted, the experts and how their scores mix."""

    # The router:
    router: Router = "cleaned"  # off: one expert a product; oracle: by the image's name
    centred: bool = True  # signatures, on the mean of the site's good images
    subclasses: Literal["found", "given"] = "found"  # given: by the names of what is learned from
    pattern: str = ""  # that finds the sub-class in a name; empty: the folder of the file
    most: Annotated[int, Field(ge=1, le=64)] = 8  # experts of a product
    local: Annotated[int, Field(ge=1, le=1024)] = 8  # centroids that a site sends of a product
    separation: Annotated[float, Field(ge=0, le=1)] = 0.25  # mean silhouette below which K is 1
    least_images: Annotated[int, Field(ge=1)] = 4  # of an expert, at all sites
    projection: Annotated[int, Field(ge=0, le=1024)] = 0  # numbers that signatures become; 0: off
    projection_rounds: Annotated[int, Field(ge=1)] = 3  # of its FedAvg
    projection_steps: Annotated[int, Field(ge=1)] = 100  # of Adam in each, of all a site's images
    # Features:
    adapt: Adapt = "mean"
    blend: Annotated[float, Field(ge=0, le=1)] = 1.0  # 0: as they are
    learned: bool = True  # adapt what is learned from too; off: what is judged alone
    # Experts and their scores:
    expert: Literal["bank", "discriminator"] = "bank"
    calibrate: Calibrate = "off"  # scores, expert by expert
    held: Annotated[int, Field(ge=2)] = 5  # one good image in so many is held out for it


@dataclass(frozen=True)
class AdaptedExperts(MethodBase):
    """The method; see the module."""

    rejoins = True

    @classmethod
    def of(cls, config: Config, *, device: str = "cpu") -> Self:
        """The method with its knobs.

        Raises:
            ConfigError: products that are mixed, or a pattern that is no regular expression.
        """
        if config.bank.scope == "mixed":
            raise ConfigError(
                "bank.scope = 'mixed': expected 'category' with round.method = 'experts', whose "
                "experts are of one product each"
            )
        made = cls(config, device)
        check_pattern(made.knobs.pattern)
        return made

    @cached_property
    def knobs(self) -> Knobs:
        """`experts.*`."""
        found: Knobs = self.config.knobs("experts")
        return found

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """What each round is of."""
        asks = self._voting or self._adapts
        knobs = self.knobs
        projecting = knobs.projection_rounds if knobs.projection and knobs.router != "off" else 0
        heads = self.knobs.expert == "discriminator"
        learning = len(self.inner.rounds) if heads else 1
        counting = self.knobs.calibrate != "off"
        first = ("routes", *["votes"] * asks, *["projection"] * projecting)
        return (*first, *["experts"] * learning, *["scale"] * counting)

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """One of routes, one of votes where they are asked for, those of experts, and one of scores
        where these are calibrated."""
        heads = self.knobs.expert == "discriminator"
        model = HeadExperts if heads else BankExperts
        kinds = {
            "routes": Round(Routes, Experts),
            "votes": Round(Votes, Experts),
            "projection": Round(Projections, Experts),
            "experts": Round(SiteHeads if heads else SiteBank, model),
            "scale": Round(Tally, model),
        }
        return tuple(kinds[phase] for phase in self.phases)

    @cached_property
    def inner(self) -> PatchCore | Discriminator:
        """The method whose products are the experts."""
        if self.knobs.expert == "discriminator":
            return Discriminator.of(self.config, device=self.on)
        plain = {**self.config.plugins, "patchcore": BankKnobs(preset="classic")}
        return PatchCore.of(replace(self.config, plugins=plain), device=self.on)

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Any | None = None,
        rng: np.random.Generator,
    ) -> Routes | Votes | Projections | SiteBank | SiteHeads | Tally:
        """What the round asks of a site.

        Raises:
            DataError: a site without an image of any product that the round before knows.
        """
        phase, model, knobs = self._phase(turn), turn.model, self.knobs
        pattern = knobs.pattern if self._given else None
        points = points_of(features, knobs.router, centre=knobs.centred, pattern=pattern)
        if phase == "routes":
            return routes_of(features, points, 1 if knobs.router == "off" else knobs.local, rng=rng)
        if phase == "votes":
            width = features.shape[-1] if self._adapts else 0
            return votes_of(features, points, model, voting=self._voting, width=width)
        if phase == "projection":
            return projections_of(features, points, model, **self._projecting)
        numbers = assigned(points, model)
        if phase == "scale":
            return self._tally(features, numbers, points, model)
        chosen = np.flatnonzero((numbers != NOBODY) & ~self._held(numbers))
        if not len(chosen):
            raise DataError("no image of any product that an expert is of: was the site away?")
        names, move = as_seen(model, numbers[chosen])
        some = seen_as(features.take(chosen.tolist()), names, move if knobs.learned else None)
        made: Any = self.inner.fit(some, self._inner_turn(turn), rng=rng)
        return at_site(made, model, points.usual)

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Experts:
        """Candidates of experts; those that sites' votes are for; the experts themselves; these
        with their scores on one scale."""
        phase, dtype, model = self._phase(turn), self.config.wire.dtype, turn.model
        if phase == "routes":
            return candidates(uploads, self.knobs, given=self._given, rng=rng).rounded(dtype)
        if phase == "votes":
            return settled(uploads, model, self.knobs)
        if phase == "projection":
            return projecting(uploads, model, self.config.merge).rounded(dtype)
        if phase == "scale":
            return scaled(uploads, model, self.knobs.calibrate)
        merged: Any = self.inner.merge(uploads, self._inner_turn(turn), rng=rng)
        sites = tuple(sorted({*model.sites, *(name for one in uploads for name in one.sites)}))
        return made_of(model, merged).replace(sites=sites).rounded(dtype)

    def score(
        self, model: Any, features: Features, *, own: Any | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the expert says that each image goes to, on the scale of all.

        Raises:
            MismatchError: features of another backbone than the model's.
            DataError: an image of a category that no site had a good image of.
        """
        check_scorable(model, features)
        numbers = self._assigned(model, features, own)
        maps, scores = self._judged(model, features, numbers)
        low, width = model.low[numbers], model.width[numbers]
        return (
            ((maps - low[:, None, None]) / width[:, None, None]).astype(np.float32),
            ((scores - low) / width).astype(np.float32),
        )

    def routed(
        self, model: Experts, features: Features, *, own: Any | None = None
    ) -> tuple[str, ...]:
        """(B,): the name of the expert that each image goes to, as `score` has it."""
        check_scorable(model, features)
        return tuple(model.experts[k] for k in self._assigned(model, features, own))

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What a site enrolled with; where experts are learned, expert by expert, and as much
        longer as features may be made."""
        if self._phase(turn) != "experts":
            return site
        return expert_by_expert(site, turn.model, learned=self.knobs.learned)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """What a site sent, if its images can have given it; see `_experts.py`, and for experts the
        method that they are of.

        Raises:
            UploadError: they cannot.
        """
        phase, knobs, model = self._phase(turn), self.knobs, turn.model
        if phase == "routes":
            width = width_of(knobs.router, site.features)
            most = 0 if self._given else 1 if knobs.router == "off" else knobs.local
            check_routes(upload, site, width=width, most=most, given=self._given)
        elif phase == "votes":
            width = site.features if self._adapts else 0
            check_votes(upload, site, model, voting=self._voting, width=width)
        elif phase == "projection":
            check_projections(upload, site, model, **self._projecting)
        elif phase == "scale":
            check_tally(upload, site, model)
        else:
            found, odd = self.inner.admit(upload, site, self._inner_turn(turn))
            check_products(upload, site, model)
            return found, odd
        return upload, []

    def describe(self, model: Any) -> dict[str, Any]:
        """How many experts of each product, of how many images each, how far apart they are, and
        how much of an expert is of one site: 1 where experts are sites."""
        told = model.described()
        return told | ({"rows": len(model.rows)} if isinstance(model, BankExperts) else {})

    def scale(self, model: Any) -> dict[str, tuple[float, float]]:
        """The ends of its experts' colours, on the scale of all."""
        found: dict[str, tuple[float, float]] = model.on_scale(self.inner.scale(model.inner()))
        return found

    @property
    def _given(self) -> bool:
        return self.knobs.router == "oracle" or self.knobs.subclasses == "given"

    @property
    def _voting(self) -> bool:
        """Whether sites say how many experts there should be."""
        return not self._given and self.knobs.router != "off" and self.knobs.most > 1

    @property
    def _adapts(self) -> bool:
        return self.knobs.adapt != "off" and self.knobs.blend > 0

    @property
    def _projecting(self) -> dict[str, int]:
        knobs, seed = self.knobs, self.config.round.seed
        return {"size": knobs.projection, "steps": knobs.projection_steps, "seed": seed}

    def _phase(self, turn: Turn) -> str:
        return self.phases[turn.number - 1]

    def _inner_turn(self, turn: Turn) -> Turn:
        """The round as the experts' own method counts it, and the experts as its model."""
        model = turn.model.inner() if isinstance(turn.model, HeadExperts) else None
        return Turn(turn.number - self.phases.index("experts"), model)

    def _assigned(self, model: Experts, features: Features, own: Any | None) -> np.ndarray:
        """(B,) int: the expert that each image to be judged goes to."""
        pattern = self.knobs.pattern if model.router == "oracle" else None
        usual, centre = usual_at(own, model), model.centred == "yes"
        return assigned(
            points_of(features, model.router, centre=centre, usual=usual, pattern=pattern), model
        )

    def _tally(
        self, features: Features | InParts, numbers: np.ndarray, points: Points, model: Experts
    ) -> Tally:
        counts = np.zeros((len(model.experts), BINS), np.int64)
        for image in np.flatnonzero((numbers != NOBODY) & self._held(numbers)).tolist():
            maps, _ = self._judged(model, features.in_memory([image]), numbers[[image]])
            counts[numbers[image]] += counted(maps)
        about = known(of_features(features), model)
        return Tally(counts=counts, usual=usual_rows(points.usual, about["categories"]), **about)

    def _held(self, numbers: np.ndarray) -> np.ndarray:
        """(B,) bool: which images are held out."""
        return held_out(numbers, self.knobs.held if self.knobs.calibrate != "off" else 0)

    def _judged(
        self, model: Any, features: Features, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Maps and scores by the experts of these numbers, each in its own units."""
        seen = seen_as(features, *as_seen(model, numbers))
        found: tuple[np.ndarray, np.ndarray] = self.inner.score(model.inner(), seen)
        return found
