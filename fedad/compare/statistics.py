"""Intervals from replicates, and tests over sets of test images, by scipy and others.

A set of test images is those of a product; its seeds, which share them, are averaged inside. Tests
that rank sets are made of six or more: fewer cannot reach 5 %, or separate hardly anything. With
fewer, `chances.py` tests by redrawn images and seeds. What is tested is the paired difference on
the same images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

ALPHA = 0.05
FEWEST_SETS, FEWEST_IMAGES = 6, 20  # below them, nothing much can be said
FEWEST_BLOCKS = 5  # sets of test images that an effect size may be told of
FEWEST_DRAWN = 5  # of a category; redrawing fewer says less scatter than there is


class Interval(NamedTuple):
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        return self.low > value or self.high < value

    def clipped(self) -> Interval:
        """That of a figure, which is 0 to 1 whatever seeds do."""
        return Interval(*(float(end) for end in np.clip(self, 0, 1)))

    def within(self, margin: float) -> bool:
        return -margin < self.low and self.high < margin


class Effect(NamedTuple):
    """How large a paired difference is beside its own scatter.

    `dz` is Cohen's for pairs, mean over standard deviation, NaN where nothing scatters;
    `rank_biserial` is the share of rank sums that favours the first, less that which favours the
    second.
    """

    dz: float
    rank_biserial: float


def interval(drawn: np.ndarray, images: int, confidence: float = 0.95) -> Interval:
    """The interval of a figure or a difference from its replicates (1 + R,), the first as it is.

    Percentiles, moved out as Student's t of `images` is wider than the normal distribution
    (Hesterberg, 2015). NaN where there is nothing to draw from.
    """
    some = drawn[1:][~np.isnan(drawn[1:])]
    if images < 2 or not some.size:
        return Interval(math.nan, math.nan)
    wider = math.sqrt(images / (images - 1)) * stats.t.ppf((1 - confidence) / 2, images - 1)
    tail = stats.norm.cdf(wider)
    return Interval(*(float(end) for end in np.quantile(some, [tail, 1 - tail])))


def drawable(counts: Iterable[int]) -> int:
    """How many images an `interval` may rest on, of the counts by category; 0 for none.

    n images all lie on one side of the truth with a chance of 2^(1 - n), and no redraw shows it: in
    simulation 95 % intervals from 2, 3, 4 and 5 images cover in 50, 74, 87 and 92 %. Categories
    with one kind of image only do not count.
    """
    known = [count for count in counts if count]
    return sum(known) if known and min(known) >= FEWEST_DRAWN else 0


def over_seeds(drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mean over seeds of replicates (S, 1 + R), scattered as other seeds would scatter it.

    Seeds are too few to redraw: their own deviations are weighed at random instead, so that with
    nothing else to scatter the percentiles are Student's t interval of S - 1 degrees of freedom.
    What seeds and images do together counts on both sides, so intervals are rather too wide than
    too narrow. The same `rng` weighs alike: what two treatments have in common cancels. One seed
    is left as it is.
    """
    seeds, replicates = drawn.shape
    mean = np.asarray(drawn.mean(axis=0))
    if seeds == 1:
        return mean
    weights = rng.normal(size=(seeds, replicates))
    weights *= np.sqrt((seeds - 1) / rng.chisquare(seeds - 1, replicates))
    weights[:, 0] = 0
    return mean + (drawn[:, 0] - mean[0]) @ weights / math.sqrt(seeds * (seeds - 1))


def wilcoxon(differences: np.ndarray) -> float:
    """The two-sided p of scipy's signed-rank test over sets of test images; 1 where no pair
    differs, NaN of fewer than `FEWEST_SETS`: five cannot reach 5 %.

    Pairs that do not differ say nothing of a sign, and are taken out first: left to scipy they turn
    an exact test into a normal one, by which 5 of 15 pairs would reach 5 % (0.043, exactly 0.0625).
    """
    if len(differences) < FEWEST_SETS:
        return math.nan
    apart = differences[differences != 0]
    return float(stats.wilcoxon(apart).pvalue) if apart.size else 1.0


def effect(differences: np.ndarray) -> Effect:
    """The effect sizes of paired differences (n,); NaN of fewer than `FEWEST_BLOCKS`, whose scatter
    nobody knows."""
    if len(differences) < FEWEST_BLOCKS:
        return Effect(math.nan, math.nan)
    apart = differences[differences != 0]
    if not apart.size:
        return Effect(0.0, 0.0)
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    ranks = stats.rankdata(np.abs(apart))
    favour = float(ranks[apart > 0].sum() / ranks.sum())
    mean = float(differences.mean())
    dz = mean / spread if spread else math.nan
    return Effect(dz, 2 * favour - 1)


@dataclass(frozen=True)
class Ranking:
    """Several treatments over sets of test images, ranked within each; 1 is best.

    Two treatments whose mean ranks are less than `critical` apart cannot be told apart at 5 %
    (Nemenyi; Demsar, JMLR 2006). `groups` are the runs of treatments that cannot.
    """

    sets: int
    p: float  # of Friedman's test that all are alike
    ranks: Mapping[str, float]
    critical: float
    pairs: Mapping[str, Mapping[str, float]]  # Nemenyi's p of each pair
    groups: Sequence[Sequence[str]]


def ranked(values: Mapping[str, np.ndarray]) -> Ranking | None:
    """Friedman's test and Nemenyi's comparisons of three treatments or more.

    Args:
        values: a figure (sets of test images,) by treatment, higher is better, without NaN.

    None of fewer than three treatments, or of fewer than `FEWEST_SETS`.
    """
    names, table = list(values), np.array(list(values.values())).T  # (sets, k)
    if len(names) < 3 or len(table) < FEWEST_SETS:
        return None
    from scikit_posthocs import posthoc_nemenyi_friedman

    k, sets = len(names), len(table)
    if np.all(table == table[:, :1]):
        p = 1.0  # all ties: scipy has nothing to divide by
        pairs = {a: dict.fromkeys(names, 1.0) for a in names}
    else:
        p = float(stats.friedmanchisquare(*table.T).pvalue)
        told = posthoc_nemenyi_friedman(table).to_numpy()
        pairs = {a: dict(zip(names, map(float, told[i]), strict=True)) for i, a in enumerate(names)}
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    spread = stats.studentized_range.ppf(1 - ALPHA, k, math.inf) / math.sqrt(2)
    critical = float(spread * math.sqrt(k * (k + 1) / (6 * sets)))
    by_name = dict(sorted(zip(names, map(float, ranks), strict=True), key=lambda pair: pair[1]))
    return Ranking(sets, p, by_name, critical, pairs, _groups(by_name, critical))


def _groups(ranks: Mapping[str, float], critical: float) -> list[list[str]]:
    """The longest runs of treatments, in the order of rank, that lie within `critical`."""
    names, runs = list(ranks), list[list[str]]()
    for first in names:
        run = [name for name in names if 0 <= ranks[name] - ranks[first] < critical]
        run = [name for name in run if names.index(name) >= names.index(first)]
        if len(run) > 1 and not any(set(run) <= set(other) for other in runs):
            runs.append(run)
    return runs


def too_few(seeds: int, images: int) -> list[str]:
    """Why the numbers may be too small to say anything, in words."""
    said = []
    if seeds < 2:
        said.append("one seed says nothing of others: no p")
    if images < FEWEST_DRAWN:
        said.append(f"a category has only {images} good or defective test images: no p")
    elif images < FEWEST_IMAGES:
        said.append(f"a category has only {images} good or defective test images")
    return said
