"""The interval of a treatment's figure, or the reason why there is none.

That of image AUROC is made of those that each seed's images give (`evaluation/sureness.py`), and of
how seeds scatter; that of any other figure is of redrawn images and seeds, from 20 images a side
on. Rules and reasons are those of a run's own figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from fedad.compare.chances import flat
from fedad.compare.statistics import FEWEST_DRAWN, drawable, interval
from fedad.evaluation.summary import AUROC
from fedad.evaluation.sureness import (
    FEW,
    FEW_IMAGES,
    NO_SCATTER,
    NOTHING,
    WIDE_BINS,
    Range,
    least_range,
    mean_range,
)

Part = tuple[float, Range]  # a figure, and its interval


def shown(drawn: np.ndarray, range_: Range) -> dict[str, Any]:
    """What `comparison.json` holds of a figure (1 + R,)."""
    told = {"low": range_.low, "high": range_.high, "no_interval": range_.reason}
    return {"value": float(drawn[0]), **told}


def redrawn_range(drawn: np.ndarray, images: Iterable[int]) -> Range:
    """That of a figure from its replicates (1 + R,), of so many images a side by category."""
    known = [count for count in images if count]
    if not known or math.isnan(float(drawn[0])):
        return Range.none(NOTHING)
    if min(known) < FEW:
        return Range.none(FEW_IMAGES.format(FEW))
    if np.isnan(drawn[1:]).all():
        return Range.none(WIDE_BINS)
    return Range.none(NO_SCATTER) if flat(drawn) else Range(*interval(drawn, sum(known)).clipped())


def difference_range(drawn: np.ndarray, images: Iterable[int], confidence: float = 0.95) -> Range:
    """That of a paired difference from its replicates (1 + R,), of so many images a side by
    category: none of no width, which would look like certainty."""
    counts = list(images)
    if math.isnan(float(drawn[0])):
        return Range.none(NOTHING)
    if not (rest_on := drawable(counts)):
        return Range.none(FEW_IMAGES.format(FEWEST_DRAWN))
    if np.isnan(drawn[1:]).all():
        return Range.none(WIDE_BINS)
    return Range.none(NO_SCATTER) if flat(drawn) else Range(*interval(drawn, rest_on, confidence))


def over_seeds_range(seeds: Sequence[Part]) -> Part:
    """The mean of one figure over seeds that share their test images: what these leave open, and
    Student's t interval of how seeds scatter, as two independent parts."""
    values = [value for value, _ in seeds]
    mean, images = (
        float(np.mean(values)),
        least_range(float(np.mean(values)), [r for _, r in seeds]),
    )
    if images.reason or len(seeds) < 2:
        return mean, images
    scatter = float(np.std(values, ddof=1)) / math.sqrt(len(seeds))
    scatter *= float(stats.t.ppf(0.975, len(seeds) - 1))
    low = max(0.0, mean - math.hypot(mean - images.low, scatter))
    return mean, Range(low, min(1.0, mean + math.hypot(images.high - mean, scatter)))


def auroc_range(blocks: Mapping[tuple[str, int], Sequence[Part]]) -> Range:
    """The interval of the mean image AUROC over names (categories, or one site), then seeds.

    Args:
        blocks: (name, seed) -> the figures of separate images that are averaged there.
    """
    by_name: dict[str, list[Part]] = {}
    for (name, _), parts in blocks.items():
        value = float(np.mean([figure for figure, _ in parts]))
        by_name.setdefault(name, []).append((value, mean_range(value, list(parts))))
    every = [over_seeds_range(seeds) for seeds in by_name.values()]
    return mean_range(float(np.mean([value for value, _ in every])), every) if every else NONE


NONE = Range.none(NOTHING)


def is_exact(figure: str) -> bool:
    """Whether a figure has intervals of its own, without replicates."""
    return figure == AUROC
