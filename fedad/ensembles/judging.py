"""The parts of an ensemble that learn what its outputs mean: sums of held-out scores, their counts,
and a combiner of drawn defects. See `ensembles/parts.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fedad.aggregation.base import weights_of
from fedad.averaging.counted import check_images, of_all
from fedad.averaging.tensors import averaged_arrays
from fedad.ensembles.calibrating import (
    ScoreCounts,
    ScoreSums,
    added_up,
    check_score_counts,
    check_score_sums,
    counts_of,
    sums_of,
)
from fedad.ensembles.combining import (
    NODES,
    Coefficients,
    Trees,
    all_trees,
    check_coefficients,
    check_trees,
    grown,
    stepped,
)
from fedad.ensembles.composite import Composite
from fedad.ensembles.outputs import (
    LEAST,
    OF_MEMBERS,
    Held,
    Judging,
    about,
    all_counts,
    score_counts,
)
from fedad.ensembles.parts import Images, with_some
from fedad.ensembles.seen import COMBINER, COUNTS, SUMS, Seen
from fedad.ensembles.trying import MeasurePart, TrialPart
from fedad.messages.payload import Payload
from fedad.methods.base import Round, Turn
from fedad.types import Enrolled


@dataclass(frozen=True)
class SumPart(Judging):
    """Sums of held-out scores, which add: by one round."""

    name: str = SUMS
    rounds: Sequence[Round] = (Round(ScoreSums, ScoreSums),)

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> ScoreSums:
        """The sums of this site."""
        found = [*self.held(turn.model, features, 0)]
        columns = [sums_of(one.good) for one in found]
        count, sums, squares = (
            np.array([row[k] for row in columns], kind).reshape(-1, self.outputs)
            for k, kind in enumerate((np.int64, np.float64, np.float64))
        )
        return ScoreSums(count=count, sums=sums, squares=squares, **about(found, features))

    def merge(
        self, uploads: Sequence[ScoreSums], turn: Turn, *, rng: np.random.Generator
    ) -> ScoreSums:
        """The sums of all sites."""
        return added_up(with_some(uploads, LEAST), ("count", "sums", "squares"))

    def admit(self, upload: ScoreSums, site: Enrolled, turn: Turn) -> tuple[ScoreSums, list[str]]:
        """The sums, if scores can have them."""
        check_images(upload, site, least=self.seen.knobs.least_images)
        check_score_sums(upload, site.fingerprint.patches, self.outputs)
        return upload, []


@dataclass(frozen=True)
class CountPart(Judging):
    """Counts of held-out scores in bins, and of drawn defects', which add: by one round."""

    name: str = COUNTS
    rounds: Sequence[Round] = (Round(ScoreCounts, ScoreCounts),)

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> ScoreCounts:
        """The counts of this site."""
        sums: ScoreSums = turn.model.part(SUMS, ScoreSums)
        found = [*self.held(turn.model, features, self.draws)]
        good, drawn = list[np.ndarray](), list[np.ndarray]()
        for one in found:
            at = sums.categories.index(one.product)
            good.append(counts_of(one.good, sums.mean[at], sums.spread[at]))
            drawn.append(counts_of(one.drawn, sums.mean[at], sums.spread[at]))
        return score_counts(found, good, drawn, self.outputs, features)

    def merge(
        self, uploads: Sequence[ScoreCounts], turn: Turn, *, rng: np.random.Generator
    ) -> ScoreCounts:
        """The counts of all sites."""
        return all_counts(uploads)

    def admit(
        self, upload: ScoreCounts, site: Enrolled, turn: Turn
    ) -> tuple[ScoreCounts, list[str]]:
        """The counts, if so many images can have them."""
        check_images(upload, site, least=self.seen.knobs.least_images)
        check_score_counts(upload, site.fingerprint.patches, self.outputs, self.draws)
        return upload, []


@dataclass(frozen=True)
class CombinerPart(Judging):
    """Logistic regression by FedAvg, or each site's forest, of calibrated scores of images."""

    name: str = COMBINER

    @cached_property
    def rounds(self) -> Sequence[Round]:
        """Several of coefficients, or one of trees."""
        if self.seen.knobs.combine == "forest":
            return (Round(Trees, Trees),)
        return (Round(Coefficients, Coefficients),) * int(self.seen.knobs.rounds)

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> Payload:
        """What this site learns of its held-out images and of defects drawn into them."""
        model: Composite = turn.model
        found = [*self.held(model, features, self.draws)]
        sides = [
            tuple(
                self.seen.calibrated(model, side, one.product).reshape(len(side), -1).T
                for side in (one.scores, one.drawn_scores)
            )
            for one in found
        ]
        if self.seen.knobs.combine == "forest":
            return self._trees(found, sides, features, rng)
        rows = [
            stepped(self._known(turn, one.product), good, bad)
            for one, (good, bad) in zip(found, sides, strict=True)
        ]
        values = np.array(rows, np.float32).reshape(-1, self._width)
        return Coefficients(values=values, **about(found, features))

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Payload:
        """The averaged coefficients, or all trees."""
        uploads = with_some(uploads, LEAST)
        if self.seen.knobs.combine == "forest":
            return all_trees(uploads)
        told, rows, merge = of_all(uploads), list[np.ndarray](), self.seen.config.merge
        for name in told["categories"]:
            having = [one for one in uploads if name in one.categories]
            at = [one.categories.index(name) for one in having]
            images = [int(one.images[k]) for one, k in zip(having, at, strict=True)]
            weights = weights_of([one.sites[0] for one in having], images, merge)
            each = [{"v": one.values[k]} for one, k in zip(having, at, strict=True)]
            rows.append(averaged_arrays(each, weights)["v"])
        found: Coefficients = uploads[0].replace(values=np.stack(rows), **told)
        return found.rounded(self.seen.config.wire.dtype)

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The coefficients or trees, if they are of so many members."""
        check_images(upload, site, least=self.seen.knobs.least_images)
        if isinstance(upload, Trees):
            check_trees(upload, int(self.seen.knobs.trees), len(self.seen.names))
        else:
            check_coefficients(upload, self._width)
        return upload, []

    @property
    def _width(self) -> int:
        return len(self.seen.names) + 1

    def _known(self, turn: Turn, product: str) -> np.ndarray:
        """(K,): the broadcast coefficients of a product; in the first round none counts more."""
        if turn.number > 1:
            before: Coefficients = turn.model.part(COMBINER, Coefficients)
            if product in before.categories:
                found: np.ndarray = before.values[before.categories.index(product)]
                return found
        return np.append(np.full(self._width - 1, 1 / (self._width - 1)), 0.0)

    def _trees(
        self,
        found: Sequence[Held],
        sides: Sequence[tuple[np.ndarray, ...]],
        features: Images,
        rng: np.random.Generator,
    ) -> Trees:
        count = int(self.seen.knobs.trees)
        made = [grown(good, bad, count, rng) for good, bad in sides]
        asks, limit, share = (
            np.array([one[k] for one in made], kind).reshape(-1, count, NODES)
            for k, kind in enumerate((np.int32, np.float64, np.float64))
        )
        told = about(found, features)
        behind = np.repeat(told["images"][:, None], count, 1)
        return Trees(asks=asks, limit=limit, share=share, behind=behind, **told)


def judges(seen: Seen) -> list[Any]:
    """The parts that learn what outputs mean, in their order."""
    combine, calibration = seen.knobs.combine, seen.knobs.calibration
    if combine == "none":
        return []
    parts: list[Any] = [SumPart(seen)]
    if combine in (*OF_MEMBERS, "rank") or calibration != "z":
        parts.append(CountPart(seen))
    if combine == "selected":
        parts += [TrialPart(seen), MeasurePart(seen)]
    if combine in ("logistic", "forest"):
        parts.append(CombinerPart(seen))
    return parts
