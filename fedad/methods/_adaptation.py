"""Adaptation of features at test time: an image's patches are brought to where an expert's lie.

    p' = (p - centre_t) / spread_t * spread_e + centre_e,    p'' = b p' + (1 - b) p

feature by feature: centre_t and spread_t of the image's own patches, centre_e and spread_e of the
good patches that the expert has learned from, b the blend. `mean` measures an image by mean and
standard deviation, `median` by median and median absolute deviation (times 1.4826, which makes it
the standard deviation of a normal distribution), which a defect of less than half the image hardly
moves. A defect that covers much of an image moves its measure, and so hides itself in part.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from fedad.descriptors.standardise import FLOOR, SLIGHT, TINY

Adapt = Literal["off", "mean", "median"]
LEAST = 0.1  # of the standard deviation: no spread by medians is narrower
NORMAL = 1.4826  # of a normal distribution, standard deviations to a median absolute deviation


class Place(NamedTuple):
    """Where patches lie, feature by feature: centre (D,) and spread (D,), float64."""

    centre: np.ndarray
    spread: np.ndarray


def measured(patches: np.ndarray, adapt: Adapt) -> Place:
    """Where an image's patches (n, D) lie. No spread is less than a thousandth of the mean one, so
    that features which hardly vary in an image are not blown up."""
    exact = patches.astype(np.float64)
    if adapt == "median":
        centre = np.median(exact, axis=0)
        spread, usual_spread = NORMAL * np.median(np.abs(exact - centre), axis=0), exact.std(0)
        # Half of the patches may have the very same value, as after a ReLU: then the usual one. A
        # little less than half, and what is off it would be blown up.
        spread = np.where(spread > 0, np.maximum(spread, LEAST * usual_spread), usual_spread)
    else:
        centre, spread = exact.mean(0), exact.std(0)
    usual = math.sqrt(float(np.square(exact).mean()))
    return Place(centre, np.maximum(spread, max(FLOOR * spread.mean(), SLIGHT * usual, TINY)))


def adapted(patches: np.ndarray, expert: Place, adapt: Adapt, blend: float) -> np.ndarray:
    """(n, D) float32: patches of one image, brought to where an expert's lie as far as `blend`
    says."""
    if adapt == "off" or not blend:
        return patches
    own = measured(patches, adapt)
    moved = (patches - own.centre) / own.spread * expert.spread + expert.centre
    found: np.ndarray = (blend * moved + (1 - blend) * patches).astype(np.float32)
    return found


def place_of(patches: int, sums: np.ndarray, squares: np.ndarray) -> Place:
    """Where so many patches lie, by their sums (D,) and sums of squares (D,), which add over sites;
    of no patch at 0, with a spread of 1."""
    if not patches:
        return Place(np.zeros(len(sums)), np.ones(len(sums)))
    centre = sums / patches
    return Place(centre, np.sqrt(np.maximum(squares / patches - np.square(centre), 0)))
