"""AUC-sPRO from maps and regions in memory, for those who want nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedad.errors import ConfigError
from fedad.evaluation.breakdown import LIMITS, check_limits
from fedad.evaluation.curve import areas
from fedad.evaluation.exact import rank_exactly
from fedad.evaluation.official import official_areas
from fedad.evaluation.scored import Scored
from fedad.plugins import did_you_mean
from fedad.types import GOOD, Region

MODES = ("exact", "official")


def spro_areas(
    maps: Sequence[np.ndarray],
    regions: Sequence[Sequence[Region]],
    limits: Sequence[float] = LIMITS,
    *,
    mode: str = "exact",
    rng: np.random.RandomState | np.random.Generator | None = None,
) -> dict[float, float]:
    """The AUC-sPRO of a category for each false-positive limit; NaN with nothing to rank.

    Args:
        maps: one (H, W) a test image, uint8, uint16 or float; sizes may differ in `exact` mode.
        regions: of each image, one a mask channel; none for a good image.
        mode: `exact` makes every distinct score a threshold; `official` takes those that AutoVI's
            evaluator takes.
        rng: draws the `official` mode's sample above ten million pixels.

    Raises:
        DataError: a map that is not finite, or does not fit its regions.

    >>> mask = np.array([[True, False], [False, False]])
    >>> spro_areas([np.eye(2)], [[Region(mask, saturation=1)]], limits=[0.5])
    {0.5: 0.25}
    """
    limits, mode = check_limits(limits), check_mode(mode)
    images = [
        Scored(scores, tuple(found), defect="defect" if found else GOOD, name=f"map {k}")
        for k, (scores, found) in enumerate(zip(maps, regions, strict=True))
    ]
    if mode == "official":
        found = official_areas(images, limits, rng or np.random.RandomState(0))
    else:
        found = [float(area.value) for area in areas(rank_exactly(images).covered, limits)]
    return dict(zip(limits, found, strict=True))


def check_mode(mode: str) -> str:
    """The mode, if there is one of that name."""
    if mode not in MODES:
        raise ConfigError(
            f"mode = {mode!r}{did_you_mean(mode, MODES)}: there are {', '.join(MODES)}"
        )
    return mode
