"""A threshold that follows the line: adaptive conformal inference (Gibbs and Candès, NeurIPS 2021).

A threshold from a few good parts keeps its rate while parts stay as they were. Where light, lens or
parts drift, operators see it first: each part that they call good moves the level at which the
threshold is taken. With step g, the share of good parts that were stopped is never farther than
(1 + g) / (g T) from the wished rate after T of them, whatever the scores do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fedad.evaluation.quality import least_rate, threshold

STEP = 0.02  # of the level a part: after 1,000 parts the rate is within .051 of the wish at worst
WINDOW = 500  # newest good scores that a threshold is taken from


@dataclass(frozen=True)
class Adaptive:
    """What a threshold is taken from: the newest good scores, and the level that it is taken at.

    `rate` is the wished share of good parts stopped. `seen` good parts were judged since the
    threshold was calibrated, of which `stopped` were.
    """

    rate: float
    level: float
    scores: tuple[float, ...]
    seen: int = 0
    stopped: int = 0

    @classmethod
    def of(cls, scores: Iterable[float], rate: float) -> Adaptive:
        """Begin with the scores of calibrating good parts, one a part."""
        return cls(rate, rate, tuple(scores)[-WINDOW:])

    @cached_property
    def threshold(self) -> float:
        """The score above which the next part is stopped; infinite where the level leaves none, or
        all, to be stopped."""
        if self.level >= 1:
            return -math.inf
        if self.level < least_rate(len(self.scores)):
            return math.inf
        return threshold(np.array(self.scores), self.level)

    def after(self, score: float) -> Adaptive:
        """The same once a part with this score was judged and an operator called it good."""
        stopped = score > self.threshold
        return replace(
            self,
            level=self.level + STEP * (self.rate - stopped),
            scores=(*self.scores, score)[-WINDOW:],
            seen=self.seen + 1,
            stopped=self.stopped + stopped,
        )


def furthest(parts: int) -> float:
    """The most by which the share of good parts stopped may be off the wish after so many."""
    return (1 + STEP) / (STEP * parts) if parts else math.inf
