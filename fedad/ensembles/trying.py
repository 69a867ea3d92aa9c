"""The parts of an ensemble that say which members help: counts of what candidates say of held-out
images and of drawn defects, then moments of how well each tells them. See `selecting.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fedad.averaging.counted import check_images
from fedad.averaging.moments import moments_of
from fedad.averaging.sums import added
from fedad.ensembles.calibrating import (
    ScoreCounts,
    counts_of,
)
from fedad.ensembles.composite import Composite
from fedad.ensembles.outputs import LEAST, Held, Judging, about, all_counts, score_counts
from fedad.ensembles.parts import Images, with_some
from fedad.ensembles.seen import MEASURES, TRIALS
from fedad.ensembles.selecting import (
    Measures,
    candidates,
    check_measures,
    check_trials,
    joint,
    of_images,
    of_maps,
)
from fedad.methods.base import Round, Turn
from fedad.types import Enrolled


@dataclass(frozen=True)
class _Trying(Judging):
    """What counting and measuring the candidates of a selection have in common."""

    def joint(self, model: Composite, one: Held) -> Joint:
        """What every candidate says of a product's held-out images and of their defects."""
        how = self.seen.knobs.calibration

        def of(values: np.ndarray, *, maps: bool) -> np.ndarray:
            return joint(self.seen.calibrated(model, values, one.product, maps=maps), how)

        return Joint(
            *(of(one.scores, maps=False), of(one.drawn_scores, maps=False)),
            *(of(one.maps, maps=True), of(one.drawn_maps, maps=True)),
        )

    @property
    def tried(self) -> int:
        """Q: how many candidates there are."""
        return len(candidates(len(self.seen.names)))


class Joint(NamedTuple):
    """Of Q candidates, in units that bins count."""

    scores: np.ndarray  # (Q, n)
    drawn_scores: np.ndarray  # (Q, n, d)
    maps: np.ndarray  # (Q, n, h w)
    drawn_maps: np.ndarray  # (Q, n, d, h w)


@dataclass(frozen=True)
class TrialPart(_Trying):
    """Counts of what every candidate of a selection says, in bins, which add: by one round."""

    name: str = TRIALS
    rounds: Sequence[Round] = (Round(ScoreCounts, ScoreCounts),)

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> ScoreCounts:
        """The counts of this site."""
        found = [*self.held(turn.model, features, self.seen.knobs.draws)]
        counted, odd = list[np.ndarray](), list[np.ndarray]()
        zero, unit = np.zeros(2 * self.tried), np.ones(2 * self.tried)
        for one in found:
            seen = self.joint(turn.model, one)
            of_good = [*seen.scores]
            of_good += [
                np.concatenate([whole.ravel(), drawn[~one.shown]])
                for whole, drawn in zip(seen.maps, seen.drawn_maps, strict=True)
            ]
            of_drawn = [*(s.ravel() for s in seen.drawn_scores)]
            of_drawn += [m[one.shown] for m in seen.drawn_maps]
            counted.append(counts_of(of_good, zero, unit))
            odd.append(counts_of(of_drawn, zero, unit))
        return score_counts(found, counted, odd, 2 * self.tried, features)

    def merge(
        self, uploads: Sequence[ScoreCounts], turn: Turn, *, rng: np.random.Generator
    ) -> ScoreCounts:
        """The counts of all sites."""
        return all_counts(uploads)

    def admit(
        self, upload: ScoreCounts, site: Enrolled, turn: Turn
    ) -> tuple[ScoreCounts, list[str]]:
        """The counts, if so many images can have them."""
        knobs = self.seen.knobs
        check_images(upload, site, least=knobs.least_images)
        check_trials(upload, site.fingerprint.patches, len(self.seen.names), knobs.draws)
        return upload, []


@dataclass(frozen=True)
class MeasurePart(_Trying):
    """Moments of how well every candidate tells each held-out image's drawn defects, which add: by
    one round."""

    name: str = MEASURES
    rounds: Sequence[Round] = (Round(Measures, Measures),)

    def fit(
        self, features: Images, turn: Turn, *, own: Any | None, rng: np.random.Generator
    ) -> Measures:
        """The moments of this site, of the products that there are counts of."""
        trials: ScoreCounts = turn.model.part(TRIALS, ScoreCounts)
        found = [*self.held(turn.model, features, self.seen.knobs.draws)]
        table = []
        for one in found:
            at, seen = trials.categories.index(one.product), self.joint(turn.model, one)
            good, drawn = trials.good[at], trials.drawn[at]
            images = [
                of_images(seen.scores[q], seen.drawn_scores[q], good[q], drawn[q])
                for q in range(self.tried)
            ]
            maps = [
                of_maps(seen.drawn_maps[q], one.shown, good[self.tried + q])
                for q in range(self.tried)
            ]
            table.append([moments_of([np.stack([*images, *maps], axis=1)], 2 * self.tried)])
        size = 2 * self.tried
        told = about(found, features)
        return Measures.made_of(table, cells=1, dimensions=size, features=size, about=told)

    def merge(
        self, uploads: Sequence[Measures], turn: Turn, *, rng: np.random.Generator
    ) -> Measures:
        """The moments of all sites."""
        found: Measures = added(with_some(uploads, LEAST))  # type: ignore[assignment]
        return found

    def admit(self, upload: Measures, site: Enrolled, turn: Turn) -> tuple[Measures, list[str]]:
        """The moments, if so many images can have them."""
        least = self.seen.knobs.least_images
        check_measures(upload, site, len(self.seen.names), least)
        return upload, []
