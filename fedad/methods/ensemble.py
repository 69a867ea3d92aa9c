"""Heterogeneous ensembles: detectors of several kinds, joined by their features or their outputs.

The members (`fedad/members`) are learned one after the other, each by its own rounds, and frozen.
Then either or both:

- features: their taps become one map of features by principal components (`ensembles/blocks.py`),
  on which a head is learned: a discriminator, or a bank of rows searched for the nearest. That is a
  reconstruction from descriptions of how networks were joined by their features, no reproduction;
- outputs: their scores and maps are calibrated on good images that no member learned from
  (`ensembles/calibrating.py`), and combined: mean, maximum, ranks, weights by how well each tells
  defects that were drawn (`ensembles/weighing.py`), those alone that surely help to tell them
  (`ensembles/selecting.py`), logistic regression or a forest of those (`ensembles/combining.py`).

Sites send what a member's own round sends, sums, counts, a head, coefficients or trees; the model
that comes down holds all parts so far (`ensembles/composite.py`). With one site it is the
centralised ensemble; federated components and calibrations are the centralised ones, as sums add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fedad.config import Config
from fedad.ensembles.calibrating import PATCH_LEVELS, TENTH, ScoreCounts, averaged
from fedad.ensembles.combining import Coefficients, Trees, answered, shares_of
from fedad.ensembles.composite import Composite, composite
from fedad.ensembles.judging import judges
from fedad.ensembles.parts import Step, learners, of_folds
from fedad.ensembles.seen import COMBINER, COUNTS, HEAD, MEASURES, Seen
from fedad.ensembles.selecting import Measures, selected
from fedad.ensembles.selecting import weights_of as alike
from fedad.ensembles.settings import LEARNED, WEIGHED, Settings
from fedad.ensembles.taps import part_of
from fedad.ensembles.weighing import weights_of
from fedad.errors import ConfigError, DataError
from fedad.messages.payload import Payload
from fedad.methods.base import MethodBase, Round, Turn, check_scorable
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["Ensemble"]

MEMBERS = True
HEEDS = "discriminator"


@dataclass(frozen=True)
class Knobs(Settings):
    """`ensemble.*`; see `ensembles/settings.py`."""


@dataclass(frozen=True)
class Ensemble(MethodBase):
    """The method; see the module."""

    rejoins = True

    @classmethod
    def of(cls, config: Config, *, device: str = "cpu") -> Self:
        """The method with its knobs.

        Raises:
            ConfigError: nothing to judge by, or a member that there is not.
        """
        made = cls(config, device)
        if made.knobs.head == "none" and made.knobs.combine == "none":
            raise ConfigError(
                "ensemble.combine = 'none': expected a combination of outputs, or a head: with "
                "ensemble.head = 'none' nothing judges an image"
            )
        if made.knobs.folds > 1 and made.knobs.combine == "none":
            raise ConfigError(
                f"ensemble.folds = {made.knobs.folds}: with ensemble.combine = 'none' nothing is "
                "held out to calibrate by: leave it at 1"
            )
        if made.knobs.folds > 1 and made.knobs.head != "none":
            raise ConfigError(
                f"ensemble.folds = {made.knobs.folds} and ensemble.head = {made.knobs.head!r}: a "
                "head is not learned anew for each fold: leave folds at 1"
            )
        _ = made.seen.members
        return made

    @cached_property
    def knobs(self) -> Knobs:
        """`ensemble.*`."""
        found: Knobs = self.config.knobs("ensemble")
        return found

    @cached_property
    def seen(self) -> Seen:
        """Members and head, and what they make of images."""
        return Seen(self.config, self.knobs, self.on)

    @cached_property
    def steps(self) -> Sequence[Step]:
        """What each round is of."""
        parts = [*learners(self.seen), *judges(self.seen)]
        if folds := of_folds(self.seen):  # members that judge come last: none of those is down then
            parts = [*folds, *judges(self.seen), *learners(self.seen)]
        return [Step(part, k + 1) for part in parts for k in range(len(part.rounds))]

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """The members' own, one after the other, then those of the block, the head, sums and
        counts of scores, and the combiner; only what the knobs ask for."""
        return [Round(one.part.rounds[one.number - 1].upload, Composite) for one in self.steps]

    @property
    def needs_pixels(self) -> bool:  # type: ignore[override]
        """Whether a member does, or defects are drawn."""
        drawn = self.knobs.combine in LEARNED
        return drawn or any(one.needs_pixels for one in self.seen.members.values())

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Any | None = None,
        rng: np.random.Generator,
    ) -> Payload:
        """What the part of this round learns."""
        step = self._step(turn)
        mine = own if step.number > 1 else None
        return step.part.fit(features, Turn(step.number, turn.model), own=mine, rng=rng)

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Composite:
        """The model so far, with what the part of this round became."""
        step = self._step(turn)
        part = step.part.merge(uploads, Turn(step.number, turn.model), rng=rng)
        made = composite(turn.model, step.part.name, part)
        judged = {one.name for one in judges(self.seen)}
        if step.part.name in judged and not self._follows(turn, judged):
            made = made.without({one.name for one in of_folds(self.seen)})
        return made

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """As the part of this round has it."""
        step = self._step(turn)
        return step.part.expected(site, Turn(step.number, turn.model))

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """As the part of this round has it."""
        step = self._step(turn)
        return step.part.admit(upload, site, Turn(step.number, turn.model))

    def score(
        self, model: Composite, features: Features, *, own: Any | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Maps (B, h, w) on the features' grid and scores (B,): the head's, or the combination.

        Raises:
            MismatchError: features of another backbone.
            DataError: an image of a product that some part does not know.
        """
        check_scorable(model, features)
        for name in sorted({*features.categories}):
            if not self.judges(model, name):
                raise DataError(
                    f"category {name!r}: no site that took part in all rounds held out "
                    f"ensemble.least-images = {self.knobs.least_images} good images of it, so that "
                    "nothing is calibrated"
                )
        if self.knobs.combine == "none":
            return self.seen.headed(model, features)
        scores, maps = self.seen.outputs(model, features)
        found = np.empty(features.grid.shape[:3], np.float32)
        whole = np.empty(len(found), np.float32)
        for k, name in enumerate(features.categories):  # alone: bits do not depend on its company
            found[k] = self._combined(model, maps[:, k], name, images=False)
            if self.knobs.image == "map":
                whole[k] = found[k].max()
            else:
                whole[k] = self._combined(model, scores[:, k, None], name, images=True)[0]
        return found, whole

    def judges(self, model: Any, category: str) -> bool:
        """Whether all parts know what is normal of a product."""
        if category not in model.categories or not self.seen.knows(model, category):
            return False
        kinds: dict[str, Any] = {"logistic": Coefficients, "forest": Trees}
        learned = kinds.get(self.knobs.combine)
        return learned is None or category in model.part(COMBINER, learned).categories

    def describe(self, model: Composite) -> dict[str, Any]:
        """How large each part is, what each member says of itself, and what each one weighs."""
        told: dict[str, Any] = {"parts": len(model), "bytes_by_part": model.sizes()}
        for name, member in self.seen.members.items():
            payload = model.part(part_of(name), member.rounds[-1].model)
            told[part_of(name)] = member.describe(payload)
        if self.knobs.combine in WEIGHED:
            told["weights_by_category"] = {
                name: {
                    what: {
                        one: round(float(weight), 4)
                        for one, weight in zip(self.seen.names, row, strict=True)
                    }
                    for what, row in (
                        ("images", self._weights(model, name, images=True)),
                        ("maps", self._weights(model, name, images=False)),
                    )
                }
                for name in model.categories
                if self.judges(model, name)
            }
        return told

    def scale(self, model: Composite) -> dict[str, tuple[float, float]]:
        """Of a head its own; of calibrated maps 0 and what no good patch comes to."""
        if self.knobs.combine == "none" and self.seen.head is not None:
            payload: Any = model.part(HEAD, self.seen.head.rounds[-1].model)
            ends: dict[str, tuple[float, float]] = self.seen.head.scale(payload)
            return ends
        top = {"z": 8.0, "quantile": 3 * TENTH}
        rare = -2 * float(np.log(1 - PATCH_LEVELS[1]))  # of p, and of e, which is told as p is
        high = 3.0 if self.knobs.combine == "rank" else top.get(self.knobs.calibration, rare)
        return dict.fromkeys(model.categories, (0.0, high))

    def _combined(
        self, model: Composite, values: np.ndarray, product: str, *, images: bool
    ) -> np.ndarray:
        """(...): the outputs (M, ...) of one product as one."""
        made, how, half = self.seen.calibrator(model), self.knobs.combine, len(values)
        calibrate = made.rank if how == "rank" else made
        known = [calibrate(one, product, o if images else half + o) for o, one in enumerate(values)]
        whole = np.stack(known)
        if how == "maximum":
            found: np.ndarray = whole.max(0)
        elif how in WEIGHED:
            weights = self._weights(model, product, images=images)
            found = averaged(whole, self.knobs.calibration, weights)
        elif how == "forest" and images:
            trees = model.part(COMBINER, Trees)
            found = answered(trees, trees.categories.index(product), whole.T)
        else:
            found = averaged(whole, "z" if how == "rank" else self.knobs.calibration)
        return found

    def _weights(self, model: Composite, product: str, *, images: bool) -> np.ndarray:
        """(M,): what each output weighs."""
        if self.knobs.combine == "logistic":
            learned = model.part(COMBINER, Coefficients)
            return shares_of(learned.values[learned.categories.index(product)])
        if self.knobs.combine == "selected":
            measures, members = model.part(MEASURES, Measures), len(self.seen.names)
            some = selected(measures.of(measures.categories.index(product), 0), members)
            return alike(some[0 if images else 1], members)
        counts = model.part(COUNTS, ScoreCounts)
        row = weights_of(counts, self.knobs.least_odds)[counts.categories.index(product)]
        half = len(row) // 2
        return row[:half] if images else row[half:]

    def _follows(self, turn: Turn, names: set[str]) -> bool:
        """Whether a later round is of one of these parts."""
        return any(step.part.name in names for step in self.steps[turn.number :])

    def _step(self, turn: Turn) -> Step:
        return self.steps[turn.number - 1]
