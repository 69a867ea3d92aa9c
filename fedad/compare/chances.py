"""How likely a difference is by chance: p-values from redrawn test images and seeds.

Products are fixed: what is tested is "no difference on these products' parts". A p is the level at
which the `statistics.interval` of the same replicates ends at the value in question, so that a
verdict and its interval never disagree. Seeds of one set of test images are averaged inside it, and
count as scatter of that average, never as further sets.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

FEWEST_SEEDS = 2  # one says nothing of how others would scatter


def chance(drawn: np.ndarray, images: int, seeds: int) -> float:
    """The two-sided p of no difference, from the replicates (1 + R,) of a difference.

    Args:
        images: that the replicates rest on, as `statistics.drawable` counts them.
        seeds: that were averaged.

    NaN where nobody can tell: no replicates, too few images or seeds, or nothing that scatters.
    """
    if not _tells(drawn, images, seeds) or flat(drawn):
        return math.nan
    return min(1.0, 2 * min(_beyond(drawn, 0.0, images)))


def chance_equal(drawn: np.ndarray, images: int, seeds: int, margin: float) -> float:
    """The p of two one-sided tests (TOST): small if the mean surely lies within `margin` of 0.

    The margin is taken 1 / n smaller: by so much one image that changes sides moves the mean, and
    close to 1 the scatter of the images there are says nothing of the next. Treatments alike on all
    n redrawn images do not scatter, and no p is below (1 - margin)^n: the chance that none of n
    images is one of those, a share `margin` of all, on which they differ.
    """
    if not _tells(drawn, images, seeds):
        return math.nan
    if flat(drawn):
        return float((1 - min(margin, 1)) ** images) if abs(drawn[0]) < margin else 1.0
    known = margin - 1 / images
    if known <= 0:
        return 1.0
    return max(_beyond(drawn, -known, images)[0], _beyond(drawn, known, images)[1])


def flat(drawn: np.ndarray) -> bool:
    """Whether all replicates are alike: whatever was redrawn, the figure stayed."""
    known = drawn[~np.isnan(drawn)]
    return bool(known.size and np.ptp(known) <= 1e-12)


def _tells(drawn: np.ndarray, images: int, seeds: int) -> bool:
    known = int(np.count_nonzero(~np.isnan(drawn[1:])))
    return images >= 2 and known > 0 and seeds >= FEWEST_SEEDS and not math.isnan(float(drawn[0]))


def _beyond(drawn: np.ndarray, value: float, images: int) -> tuple[float, float]:
    """The one-sided p of a truth at or below `value`, and of one at or above it.

    Counted with half a replicate more than there is, so that R replicates never give 0, and at
    least 2^-n: n images all lie on one side of the truth that often.
    """
    some = drawn[1:][~np.isnan(drawn[1:])]
    below = np.count_nonzero(some < value) + 0.5 * np.count_nonzero(some == value)
    shares = np.array([below, len(some) - below]) + 0.5
    wider = special.ndtri(shares / (len(some) + 1)) * math.sqrt((images - 1) / images)
    found = np.maximum(special.stdtr(images - 1, wider), 2.0**-images)
    return float(found[0]), float(found[1])
