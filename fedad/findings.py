"""What a site says of its test images: counts and decisions that add up over sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isnan

from fedad.calibration import Threshold
from fedad.config import Config
from fedad.judging import Verdict
from fedad.metrics import Counts, Decisions, decide, resample
from fedad.seeding import stream


@dataclass(frozen=True, eq=False)
class Findings:
    """Counts by score, counts of resampled images (for intervals), and what thresholds stopped.

    Findings add, in any order, and `Findings()` adds nothing. `calibrated` says by how many good
    images each category's threshold is supported, 0 where they were too few; the threshold itself
    is a score, and stays at the site.
    """

    counts: Counts = field(default_factory=Counts)
    replicates: Counts = field(default_factory=Counts)
    decisions: Mapping[str, Decisions] = field(default_factory=dict)
    calibrated: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.counts + other.counts,
            self.replicates + other.replicates,
            _added(self.decisions, other.decisions, Decisions()),
            _added(self.calibrated, other.calibrated, 0),
        )


def find(
    config: Config, site: str, verdicts: Iterable[Verdict], thresholds: Mapping[str, Threshold]
) -> Findings:
    """What there is to say of a site's verdicts; resampled from the site's own stream."""
    counts, images = Counts(), []
    decisions: dict[str, Decisions] = {}
    usable = {name: one.score for name, one in thresholds.items() if not isnan(one.score)}
    for verdict in verdicts:
        counts = counts + Counts.of(verdict.scored)
        images.append(Counts.coarse(verdict.scored))
        if verdict.sample.category in usable:
            decisions = _added(decisions, decide([verdict.scored], usable), Decisions())
    rng = stream(config.round.seed, site, "bootstrap")
    return Findings(
        counts,
        resample(images, config.score.replicates, rng=rng),
        decisions,
        {name: one.images if name in usable else 0 for name, one in thresholds.items()},
    )


def _added(one: Mapping, other: Mapping, nothing: object) -> dict:
    return {key: one.get(key, nothing) + other.get(key, nothing) for key in {*one, *other}}
