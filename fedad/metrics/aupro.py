"""AUPRO: the area below the per-region overlap up to a false-positive rate of 0.3.

Bergmann et al., *MVTec AD*, IJCV 2021. Each mask channel is a region and weighs the same.
"""

from collections.abc import Sequence

from fedad.evaluation.curve import Bounded, areas
from fedad.evaluation.ranked import Ranked

__all__ = ["aupro"]

LIMIT = 0.3  # the standard one


def aupro(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The mean share of a region that is found, over false-positive rates of 0 to 0.3:
    `aupro_0.3`, whatever the limits."""
    return {f"aupro_{LIMIT}": areas(ranked.pro, [LIMIT])[0]}
