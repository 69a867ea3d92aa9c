"""The curves behind the figures, as columns that a table or a plot can take, from counts alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.evaluation.binning import Binning
from fedad.evaluation.bins import EdgeBins
from fedad.evaluation.counts import COVERED, IMAGES, NEGATIVE, POSITIVE, PRO, Counts
from fedad.evaluation.curve import ratio
from fedad.evaluation.scored import Cell, Scored
from fedad.evaluation.tally import Line

SAMPLE = 2**20  # pixels that the thresholds of `thresholds_for` are chosen from
LEVELS = 256  # thresholds for the negatives; half as many for the regions, as many for images


def curves(counts: Counts) -> dict[str, np.ndarray]:
    """The share that scores at `threshold` or above, highest first: columns (T,) by name.

    `fpr`, `tpr`: of the pixels in no region and in one (pixel ROC). `spro`, `pro`: coverage of
    the regions. `image_fpr`, `image_tpr`: of the good and the defective images (ROC). A score
    counts as the lower end of its bin. A column of nothing is NaN.
    """
    rows = {
        "fpr": counts.row(NEGATIVE),
        "spro": counts.row(COVERED),
        "pro": counts.row(PRO),
        "tpr": counts.row(POSITIVE),
        "image_fpr": counts.row(IMAGES, Cell.is_good),
        "image_tpr": counts.row(IMAGES, Cell.is_bad),
    }
    lower = {name: _lower(counts.binning, name, row) for name, row in rows.items()}
    thresholds = np.append(np.inf, np.unique(np.concatenate([*lower.values()]))[::-1])
    return {"threshold": thresholds} | {
        name: _shares(lower[name], row.values, thresholds) for name, row in rows.items()
    }


def _lower(binning: Binning | None, name: str, row: Line) -> np.ndarray:
    """The lower ends of the bins of a row, ascending."""
    if binning is None:
        return np.empty(0)
    return (binning.images if name.startswith("image") else binning.pixels).lower(row.bins)


def _shares(lower: np.ndarray, values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of `values` whose lower end is at each threshold or above."""
    above = np.append(values[::-1].cumsum()[::-1], 0)
    return ratio(above[np.searchsorted(lower, thresholds)], above[0])


def thresholds_for(images: Sequence[Scored]) -> Binning:
    """Bins between a few hundred thresholds, dense where the curves of `images` move.

    They are for these images alone: to draw their curves, and to draw them again.
    """
    step = sum(image.map.size for image in images) // SAMPLE | 1
    pixels = np.concatenate([image.map.ravel()[::step] for image in images])
    inside = np.concatenate([image.pixels().positive for image in images])
    scores = np.array([image.image_score for image in images])
    high = 1 - np.geomspace(1 / len(pixels), 1, LEVELS)  # as dense at rate 1e-4 as at 1e-1
    even = np.linspace(0, 1, LEVELS)
    chosen = [_quantiles(pixels, high), _quantiles(scores, even), _quantiles(inside, even[::2])]
    edges = np.unique(np.concatenate(chosen)).astype(pixels.dtype)
    bins = EdgeBins("these images", edges)
    return Binning(bins.name, bins, bins)


def _quantiles(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    if not scores.size:
        return np.empty(0)
    return np.quantile(scores, shares, method="nearest").astype(float)
