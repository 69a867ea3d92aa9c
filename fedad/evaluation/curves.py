"""The curves behind the figures, as columns that a table or a plot can take, from counts alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.evaluation.binning import Binning
from fedad.evaluation.counts import COVERED, IMAGES, NEGATIVE, POSITIVE, PRO, Counts
from fedad.evaluation.curve import ratio
from fedad.evaluation.scored import Cell, Scored

SAMPLE = 2**20  # pixels that the thresholds of `thresholds_for` are chosen from
LEVELS = 256  # thresholds for the negatives; half as many for the regions, as many for images


def curves(counts: Counts) -> dict[str, np.ndarray]:
    """The share that scores at `threshold` or above, highest first: columns (T,) by name.

    `fpr`, `tpr`: of the pixels in no region and in one (pixel ROC). `spro`, `pro`: coverage of
    the regions. `image_fpr`, `image_tpr`: of the good and the defective images (ROC). A column
    of nothing is NaN.
    """
    columns = {
        "fpr": counts.row(NEGATIVE),
        "spro": counts.row(COVERED),
        "pro": counts.row(PRO),
        "tpr": counts.row(POSITIVE),
        "image_fpr": counts.only(Cell.is_good).row(IMAGES),
        "image_tpr": counts.only(Cell.is_bad).row(IMAGES),
    }
    table = np.stack(np.broadcast_arrays(*columns.values()))[:, ::-1]
    lower = _thresholds(counts.binning)[::-1] if counts.binning else np.zeros(1)
    used = np.flatnonzero(table.any(axis=0))
    reached = table.cumsum(axis=1)[:, used]
    shares = ratio(reached, table.sum(axis=1, keepdims=True))
    start = ratio(np.zeros(len(table)), table.sum(axis=1))  # above the highest score
    return {"threshold": np.append(np.inf, lower[used])} | {
        name: np.append(start[k], shares[k]) for k, name in enumerate(columns)
    }


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
    return Binning("these images", np.unique(np.concatenate(chosen)).astype(pixels.dtype))


def _quantiles(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    if not scores.size:
        return np.empty(0)
    return np.quantile(scores, shares, method="nearest").astype(float)


def _thresholds(binning: Binning) -> np.ndarray:
    """The lower ends of the bins; the first has none where it holds all that is lower."""
    lowest = binning.lower[:1] if binning.lossless else [-np.inf]
    return np.concatenate([lowest, binning.lower[1:]])
