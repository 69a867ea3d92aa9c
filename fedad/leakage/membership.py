"""Was an image learned from? Told from how near its patches are to the rows of a bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedad.evaluation.quality import Rate
from fedad.evaluation.sureness import Sureness
from fedad.evaluation.tally import Line

MEASURABLE = 100  # members, and others, from which on a share at 1 % false alarms is told
OTHERS_AN_ALARM = 100  # one in so many others may be taken for a member: 1 %


@dataclass(frozen=True)
class Recognition:
    """How well one statistic tells members from others.

    `auc` is how often a member is nearer than another image, ties count half; `reason` is why it
    has no interval. `found` are members that are nearer than the limit at which at most 1 % of the
    others are, `alarms` the others that are; None where there are too few images to tell.
    """

    statistic: str
    auc: float
    low: float
    high: float
    reason: str
    found: Rate | None
    alarms: Rate | None


@dataclass(frozen=True)
class Membership:
    """The attack by each statistic, on so many members and others of a product."""

    members: int
    others: int
    by: tuple[Recognition, ...]

    @property
    def measurable(self) -> bool:
        """Whether there are enough images for a share at 1 % false alarms."""
        return min(self.members, self.others) >= MEASURABLE

    @property
    def best(self) -> Recognition:
        """The one of the largest AUC, chosen after looking; of equal ones the one that finds more
        members, then the first."""
        return max(self.by, key=lambda one: (one.auc, one.found.cases if one.found else 0))


def membership(
    names: Sequence[str], members: np.ndarray, others: np.ndarray, confidence: float = 0.95
) -> Membership:
    """Attack by each of S statistics.

    Args:
        members: (m, S) statistics of images that were learned from, small for near ones.
        others: (n, S) of images that were not.

    An image without a statistic (NaN), which has no patch that counts, is in neither.
    """
    known = [some[~np.isnan(some).any(1)] for some in (members, others)]
    by = [
        recognised(name, known[0][:, k], known[1][:, k], confidence) for k, name in enumerate(names)
    ]
    return Membership(len(known[0]), len(known[1]), tuple(by))


def recognised(
    statistic: str, members: np.ndarray, others: np.ndarray, confidence: float = 0.95
) -> Recognition:
    """Attack by one statistic (m,), (n,): an image is taken for a member if it is near.

    The limit is the others' own, so that the interval of `found` is that of members at this limit;
    how sure the limit is, the interval of `alarms` says.
    """
    values, place = np.unique(np.concatenate([-others, -members]), return_inverse=True)
    bins = np.arange(len(values))
    lines = [
        Line(bins, np.bincount(part, minlength=len(values)))
        for part in (place[: len(others)], place[len(others) :])
    ]
    sure = Sureness.of(*lines)
    interval = sure.interval(confidence)
    found = alarms = None
    if min(len(members), len(others)) >= MEASURABLE:
        limit = np.sort(others)[len(others) // OTHERS_AN_ALARM]
        found = Rate.exact(int((members < limit).sum()), len(members), confidence)
        alarms = Rate.exact(int((others < limit).sum()), len(others), confidence)
    return Recognition(
        statistic, sure.value, interval.low, interval.high, interval.reason, found, alarms
    )
