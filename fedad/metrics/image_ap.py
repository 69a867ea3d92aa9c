"""Image AP: the mean precision at the scores of the defective images."""

from collections.abc import Sequence

from fedad.evaluation.curve import Bounded, average_precision
from fedad.evaluation.ranked import Ranked

__all__ = ["image_ap"]


def image_ap(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The average precision of the images, defective ones being sought, without interpolation (as
    scikit-learn's `average_precision_score`): `image_ap`."""
    return {"image_ap": average_precision(ranked.images)}
