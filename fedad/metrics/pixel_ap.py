"""Pixel AP: the mean precision at the scores of the pixels in regions."""

from collections.abc import Sequence

from fedad.evaluation.curve import Bounded, average_precision
from fedad.evaluation.ranked import Ranked

__all__ = ["pixel_ap"]


def pixel_ap(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The average precision of the pixels, those in regions being sought (as scikit-learn's
    `average_precision_score`): `pixel_ap`."""
    return {"pixel_ap": average_precision(ranked.pixels)}
