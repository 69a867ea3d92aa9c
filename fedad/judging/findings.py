"""What a site says of its test images: counts and decisions that add up over sites."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.config import Config
from fedad.evaluation import Counts, Decisions, Rate, Scored, decide, resample, summarise
from fedad.seeding import stream

if TYPE_CHECKING:  # who only carries findings needs no network in memory
    from fedad.judging.thresholds import Threshold
    from fedad.judging.verdicts import Trace, Verdict


@dataclass(frozen=True)
class Borrowed:
    """What the rows of other sites changed at a site's own thresholds; they add over sites.

    Of `good` images, `relieved` pass that the site's own rows of the bank would have stopped; of
    `defective` ones, `hidden` escape that those would have stopped: masked by another site's
    normal row. Scores by own rows are held against the threshold that is calibrated for them. The
    last four say the same of what chance alone does: of a site's own rows, where those of a random
    half of its training images would have stopped. Images that these rows cannot judge are left
    out.
    """

    good: int = 0
    relieved: int = 0
    defective: int = 0
    hidden: int = 0
    chance_good: int = 0
    chance_relieved: int = 0
    chance_defective: int = 0
    chance_hidden: int = 0

    def __post_init__(self) -> None:
        changed = (
            (self.relieved, self.good),
            (self.hidden, self.defective),
            (self.chance_relieved, self.chance_good),
            (self.chance_hidden, self.chance_defective),
        )
        if not all(0 <= some <= of for some, of in changed):
            raise ValueError(f"changes to more images than there are, or to fewer than 0: {self}")
        if self.chance_good > self.good or self.chance_defective > self.defective:
            raise ValueError(f"chance on more images than there are: {self}")

    def __add__(self, other: Borrowed) -> Borrowed:
        return Borrowed(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def relief(self) -> Rate:
        """The share of good images that pass thanks to others."""
        return Rate.exact(self.relieved, self.good)

    def masking(self) -> Rate:
        """The share of defective images that escape because of others."""
        return Rate.exact(self.hidden, self.defective)

    def chance_relief(self) -> Rate:
        """The share of good images that pass thanks to more rows of the site's own."""
        return Rate.exact(self.chance_relieved, self.chance_good)

    def chance_masking(self) -> Rate:
        """The share of defective images that escape because of more rows of the site's own."""
        return Rate.exact(self.chance_hidden, self.chance_defective)


@dataclass(frozen=True, eq=False)
class Findings:
    """Counts by score, counts of resampled images (for intervals), and what thresholds stopped.

    Findings add, in any order, and `Findings()` adds nothing. `calibrated` says by how many good
    parts each category's threshold is supported, 0 where they were too few; the threshold itself
    is a score, and stays at the site. `nearest` says of each category how many test patches were
    nearest to a row of which site.
    """

    counts: Counts = field(default_factory=Counts)
    replicates: Counts = field(default_factory=Counts)
    decisions: Mapping[str, Decisions] = field(default_factory=dict)
    calibrated: Mapping[str, int] = field(default_factory=dict)
    nearest: Mapping[str, Counter[str]] = field(default_factory=dict)
    borrowed: Mapping[str, Borrowed] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether nothing is said of any image."""
        return not (self.counts.cells or self.replicates.cells or self.calibrated or self.nearest)

    @cached_property
    def report(self) -> dict[str, Any]:
        """All figures of the counts, with intervals; made once."""
        return summarise(self.counts, self.replicates)

    def reduced(self) -> Findings:
        """The same with its report made and without replicates, which are most of its memory."""
        less = replace(self, replicates=Counts())
        less.__dict__["report"] = self.report
        return less

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.counts + other.counts,
            self.replicates + other.replicates,
            _added(self.decisions, other.decisions, Decisions()),
            _added(self.calibrated, other.calibrated, 0),
            _added(self.nearest, other.nearest, Counter()),
            _added(self.borrowed, other.borrowed, Borrowed()),
        )


def find(
    config: Config, site: str, verdicts: Iterable[Verdict], thresholds: Mapping[str, Threshold]
) -> Findings:
    """What there is to say of a site's verdicts; resampled from the site's own stream.

    Each category has its own stream, so that its replicates do not depend on what other products
    were judged, and runs over the same test images draw the same ones.
    """
    usable = {name: one for name, one in thresholds.items() if not isnan(one.score)}
    found, images = Findings(), defaultdict[str, list[Counts]](list)
    for verdict in verdicts:
        found += _of(verdict, usable)
        images[verdict.sample.category].append(Counts.coarse(verdict.scored))
    return replace(
        found,
        replicates=sum((_resampled(config, site, *pair) for pair in images.items()), Counts()),
        calibrated={name: one.parts if name in usable else 0 for name, one in thresholds.items()},
    )


def _of(verdict: Verdict, thresholds: Mapping[str, Threshold]) -> Findings:
    """What there is to say of one image."""
    name, scored, trace = verdict.sample.category, verdict.scored, verdict.trace
    stops = name in thresholds
    limit = thresholds[name].limit(trace.oddest if trace else "") if stops else nan
    return Findings(
        Counts.of(scored),
        decisions=decide([scored], {name: limit}) if stops else {},
        nearest={name: _nearest(trace)} if trace else {},
        borrowed={name: _borrowed(scored, trace, thresholds[name])} if trace and stops else {},
    )


def _nearest(trace: Trace) -> Counter[str]:
    patches = np.bincount(trace.nearest[trace.nearest >= 0], minlength=len(trace.sites))
    return Counter({name: int(n) for name, n in zip(trace.sites, patches, strict=True) if n})


def _borrowed(scored: Scored, trace: Trace, threshold: Threshold) -> Borrowed:
    if isnan(trace.alone) or isnan(threshold.alone):
        return Borrowed()
    stopped = trace.alone > threshold.alone
    changed = int(stopped and scored.image_score <= threshold.score)
    halved = not (isnan(trace.half) or isnan(threshold.half))
    by_chance = int(halved and not stopped and trace.half > threshold.half)
    if scored.cell.is_good():
        return Borrowed(1, changed, 0, 0, int(halved), by_chance, 0, 0)
    return Borrowed(0, 0, 1, changed, 0, 0, int(halved), by_chance)


def _resampled(config: Config, site: str, category: str, images: Sequence[Counts]) -> Counts:
    rng = stream(config.round.seed, site, "bootstrap", category)
    return resample(images, config.score.replicates, rng=rng)


def _added(one: Mapping, other: Mapping, nothing: object) -> dict:
    return {key: one.get(key, nothing) + other.get(key, nothing) for key in {*one, *other}}
