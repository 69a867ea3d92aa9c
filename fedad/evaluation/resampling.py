"""How sure a figure is: images drawn again, with replacement, category by category.

Good and defective images of a category are drawn apart, so that each replicate has as many of both
as there are. In a federation every site draws its own images again: replicate r of all sites,
added, is one replicate of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import ndtr, stdtrit

from fedad.errors import ConfigError
from fedad.evaluation.breakdown import LIMITS, Breakdown, break_down_counts
from fedad.evaluation.counts import Counts
from fedad.evaluation.curve import Bounded
from fedad.evaluation.scored import Cell
from fedad.evaluation.tally import Tally, stack

REPLICATES = 200  # that a site sends
CHUNK = 2**22  # numbers of resampled counts held at a time
LOOSEST, FARTHEST = 0.15, 0.05  # of replicate 0: its bound, and how far it is off the figure


def resample(
    images: Sequence[Counts], replicates: int = REPLICATES, *, rng: np.random.Generator
) -> Counts:
    """The counts of `images`, each of one image, and of `replicates` draws: 1 + R replicates.

    Replicate 0 is the images as they are. Give `Counts.coarse` ones for the wire.
    """
    cells = _cells(images)
    weights = np.concatenate([np.ones((1, len(cells)), np.int64), _draws(cells, replicates, rng)])
    found = Counts()
    for cell in sorted(set(cells)):
        own = [k for k, other in enumerate(cells) if other == cell]
        found += redrawn(stacked([images[k] for k in own], cell), weights[:, own])
    return found


def stacked(images: Sequence[Counts], cell: Cell) -> Counts:
    """The counts of n images, each of one image, as n replicates of one cell."""
    return Counts(
        (cell,),
        stack([image.images for image in images]),
        stack([image.pixels for image in images]),
        images[0].binning,
    )


def redrawn(images: Counts, weights: np.ndarray) -> Counts:
    """The counts of draws of n images.

    Args:
        images: with an image a replicate, as `stacked` gives them.
        weights: (R, n) int, how often each draw has each image.
    """
    first, rest = (
        Tally(tally.stretches, _weighed(tally.values, weights))
        for tally in (images.images, images.pixels)
    )
    return Counts(images.cells, first, rest, images.binning)


def _weighed(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(k, 1, R) int64 of (k, 1, n); exact, since all sums are below 2^53."""
    return (values[:, 0].astype(float) @ weights.T.astype(float)).astype(np.int64)[:, None]


def bootstrap(
    images: Sequence[Counts],
    replicates: int,
    limits: Sequence[float] = LIMITS,
    *,
    rng: np.random.Generator,
) -> Breakdown:
    """The figures of `1 + replicates` replicates by scope, drawn in chunks of bounded memory."""
    parts = [
        break_down_counts(resample(images, size, rng=rng), limits)
        for size in _chunks(images, replicates)
    ]
    return {
        scope: {key: _joined([part[scope][key] for part in parts]) for key in figures}
        for scope, figures in parts[0].items()
    }


def interval(
    value: float, replicates: np.ndarray, images: int, confidence: float
) -> tuple[float, float]:
    """The interval of a figure, from its replicates.

    Args:
        value: the figure; replicate 0 says what the coarse counts make of it.
        replicates: (1 + R,). Those that ranked nothing (NaN) are left out.
        images: how many good or defective images were drawn from, whichever are fewer.

    Percentiles, moved out as Student's t is wider than the normal distribution (Hesterberg, *What
    Teachers Should Know About the Bootstrap*, 2015), and moved by twice the bias: a figure that
    takes the best of many thresholds, such as F1-max, is as much too high as its replicates are
    above it. NaN where fewer than two images, or no replicates, leave nothing to say.
    """
    drawn = replicates[1:][~np.isnan(replicates[1:])]
    if images < 2 or not drawn.size or np.isnan(value):
        return math.nan, math.nan
    tail = ndtr(math.sqrt(images / (images - 1)) * stdtrit(images - 1, (1 - confidence) / 2))
    coarse, bias = replicates[0] - value, drawn.mean() - replicates[0]
    low, high = np.quantile(drawn, [tail, 1 - tail]) - coarse - 2 * bias
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def tells(value: float, replicates: Bounded) -> bool:
    """Whether replicates (1 + R,) in wide bins tell how sure a figure is.

    Not if those bins may move replicate 0 by more than `LOOSEST`, or do move it by more than
    `FARTHEST` from the figure: scores that share a bin are one score there, and the figures of one
    score do not vary. In simulation, intervals cover as they should up to bins of one standard
    deviation, where AUROC and AP have bounds of 0.11 and 0.14. NaN has nothing to tell.
    """
    off = abs(replicates.value[0] - value)
    return bool(replicates.bound[0] <= LOOSEST and off <= FARTHEST)


def check_confidence(confidence: float) -> float:
    """The confidence, if it is a share between 0 and 1."""
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence = {confidence}: expected a share such as 0.95")
    return confidence


def _cells(images: Sequence[Counts]) -> list[Cell]:
    return [cell for image in images for cell in image.cells]


def _draws(cells: Sequence[Cell], replicates: int, rng: np.random.Generator) -> np.ndarray:
    """(R, n): how often each image is drawn in each replicate."""
    weights = np.empty((replicates, len(cells)), np.int64)
    strata = [(cell.category, cell.is_good()) for cell in cells]
    for stratum in sorted(set(strata)):
        own = [k for k, other in enumerate(strata) if other == stratum]
        weights[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), replicates)
    return weights


def _chunks(images: Sequence[Counts], replicates: int) -> Iterator[int]:
    held = sum((image for image in images), Counts())
    size = max(1, CHUNK // (1 + held.images.values.size + held.pixels.values.size))
    for start in range(0, replicates, size):
        yield min(size, replicates - start)


def _joined(parts: Sequence[Bounded]) -> Bounded:
    """One figure over all chunks; the images as they are come first in each, and count once."""
    first, *rest = parts
    return Bounded(
        *(
            np.concatenate([head, *(tail[1:] for tail in tails)])
            for head, *tails in zip(first, *rest, strict=True)
        )
    )
