"""What a threshold promises of a product's good parts, and by how many parts it is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedad.config import ScoreKnobs
from fedad.evaluation import least_rate, parts_for, threshold
from fedad.evaluation.adaptive import Adaptive, furthest
from fedad.judging.thresholds import GoodScore, limits_by_site


@dataclass(frozen=True)
class Promise:
    """The threshold of a product at one plant, and what is known of it.

    `threshold` is NaN where `parts` good parts are too few for `rate`, and `by_site` that of parts
    whose oddest patch is nearest to a row of a site; see `thresholds.Threshold`. `level` is the
    rate at which it was taken: `rate` itself, or what operators' verdicts on `judged` good parts
    made of it, of which `stopped` would have been stopped as the threshold moved.
    """

    threshold: float
    rate: float
    parts: int
    images: int
    level: float
    judged: int = 0
    stopped: int = 0
    by_site: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether there is a threshold."""
        return not math.isnan(self.threshold)

    def told(self) -> str:
        """The promise in words."""
        if not self.kept:
            return (
                f"{self.parts} good parts can promise a false-reject rate of "
                f"{least_rate(self.parts):.3f} at best: {self.rate:g} takes {parts_for(self.rate)}"
            )
        words = (
            f"threshold {self.threshold:.6g}: of new good parts like these {self.parts}, at most "
            f"{self.rate:g} are stopped on average"
        )
        if math.isinf(self.threshold):
            every, than = ("no", "more") if self.threshold > 0 else ("every", "fewer")
            words = (
                f"threshold {self.threshold}: {every} part is stopped for now, since {than} good "
                f"parts than the wished {self.rate:g} were"
            )
        if self.by_site:
            words += (
                f"; parts that look most like those of {', '.join(self.by_site)} have their own"
            )
        if self.judged:
            words += (
                f"; of {self.judged} that operators called good since, {self.stopped} were, and "
                f"in the long run it stays within {furthest(self.judged):.3f} of that"
            )
        return words


def promise(good: Sequence[GoodScore], knobs: ScoreKnobs, judged: Iterable[float] = ()) -> Promise:
    """The threshold that good parts support, moved by the scores of parts that were called good.

    Args:
        good: scores of good images that the model was not made from.
        knobs: `score.*`: the wished false-reject rate, and what has a threshold of its own.
        judged: in the order of time, the scores of parts that operators called good.
    """
    parts, rate = [one.part for one in good], knobs.false_rejects
    scores = np.array([one.score for one in good])
    count = len({*parts})
    if count < parts_for(rate):
        return Promise(math.nan, rate, count, len(good), rate)
    at = threshold(scores, rate, parts)
    later = list(judged)
    if not later:
        by_site = limits_by_site(good, knobs)
        return Promise(at, rate, count, len(good), rate, by_site=by_site)
    state = Adaptive.of(_one_a_part(good), rate)
    for score in later:
        state = state.after(score)
    return Promise(state.threshold, rate, count, len(good), state.level, state.seen, state.stopped)


def _one_a_part(good: Sequence[GoodScore]) -> list[float]:
    """The middle score of each part: images of a part are no further evidence."""
    by_part: dict[str, list[float]] = {}
    for one in good:
        by_part.setdefault(one.part, []).append(one.score)
    return [float(np.median(scores)) for scores in by_part.values()]
