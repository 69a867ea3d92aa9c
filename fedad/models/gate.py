"""May a new model judge? By the site's own pictures alone: a pure comparison of two tables.

It waits where more of the site's good parts are stopped than was promised, beyond what chance would
do, or where a defect of its own that the current model finds is lost. Good parts that a threshold
rests on are stopped as often as promised by construction: they count where there are no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedad.evaluation import Rate
from fedad.models.checked import Checked
from fedad.permits.rules import Policy, read_policy

CHANCE = 0.95  # confidence of the interval of a share of few parts


@dataclass(frozen=True)
class Gate:
    """The site's margins, as its policy has them."""

    false_rejects: float = 0.0  # how much of good parts may be stopped beyond the promise
    lost_defects: float = 0.0  # which share of the own defects that were found may be lost
    extras: int = 5_000  # rows of added normals that a model may have beside it

    @classmethod
    def of(cls, policy: Policy) -> Gate:
        """The gate of a site, by its policy."""
        return cls(policy.gate_false_rejects, policy.gate_lost_defects, policy.largest_extras)

    @classmethod
    def at(cls, policy: Path | None) -> Gate:
        """The gate of a site, by its policy's file; without one, the default."""
        return cls.of(read_policy(policy) if policy else Policy())


@dataclass(frozen=True)
class Changed:
    """A picture of which two models say different things."""

    name: str
    product: str
    defect: str
    before: bool  # whether it was stopped
    after: bool

    def told(self) -> str:
        """In words."""
        words = {True: "NOK", False: "OK"}
        return f"{self.name}: {words[self.before]} before, {words[self.after]} now"


@dataclass(frozen=True)
class Decision:
    """Whether a model may judge, why not, and what it says otherwise than the current one."""

    accepted: bool
    reasons: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()


def decide(
    before: Sequence[Checked] | None,
    after: Sequence[Checked],
    rates: Mapping[str, float],
    gate: Gate,
) -> Decision:
    """Whether a model may take the place of the current one.

    Args:
        before: how the current model judged the site's own pictures; None where there is none.
        after: how the new one does.
        rates: of each product that it has a threshold of, the wished share of good parts stopped.
    """
    reasons = [*_stopped(after, rates, gate)]
    changed = changes(before or (), after)
    if before is not None:
        reasons += [*_unjudged(before, rates), *_lost(before, changed, gate)]
    return Decision(not reasons, tuple(reasons), changed)


def changes(before: Iterable[Checked], after: Iterable[Checked]) -> tuple[Changed, ...]:
    """The pictures that both judged, and differently."""
    known = {one.name: one for one in before}
    return tuple(
        Changed(one.name, one.product, one.defect, known[one.name].stopped, one.stopped)
        for one in after
        if one.name in known and known[one.name].stopped != one.stopped
    )


def _stopped(after: Sequence[Checked], rates: Mapping[str, float], gate: Gate) -> Iterable[str]:
    """Products of whose good parts more are stopped than promised, surely."""
    for product, rate in sorted(rates.items()):
        good = [one for one in after if one.product == product and one.is_good]
        some = [one for one in good if not one.rests] or good
        stopped = [one for one in some if one.stopped]
        found = Rate.exact(len(stopped), len(some), CHANCE)
        if found.low > rate + gate.false_rejects:
            first = ", ".join(one.name for one in stopped[:3])
            yield (
                f"{product}: {found.cases} of {found.of} good parts are stopped "
                f"({found.value:.0%}, surely above {rate + gate.false_rejects:.0%}), "
                f"such as {first}"
            )


def _unjudged(before: Sequence[Checked], rates: Mapping[str, float]) -> Iterable[str]:
    """Products that the current model has a threshold of, and the new one has not."""
    known = {one.product for one in before if one.limit == one.limit}
    for product in sorted(known - {*rates}):
        yield f"{product}: the new model has no threshold of it, and the current one has"


def _lost(before: Sequence[Checked], changed: Sequence[Changed], gate: Gate) -> Iterable[str]:
    """Products of which defects that were found are not found any more."""
    for product in sorted({one.product for one in before}):
        found = sum(one.product == product and one.stopped and not one.is_good for one in before)
        lost = [c for c in changed if c.product == product and c.defect != "good" and c.before]
        if lost and len(lost) > gate.lost_defects * found:
            first = ", ".join(one.name for one in lost[:3])
            yield (
                f"{product}: {len(lost)} of {found} own defects that were found are lost, such as "
                f"{first}"
            )
