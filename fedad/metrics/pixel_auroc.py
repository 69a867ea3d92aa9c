"""Pixel AUROC: the chance that a pixel in a region scores above one in none; ties count half."""

from collections.abc import Sequence

from fedad.evaluation.curve import Bounded, areas
from fedad.evaluation.ranked import Ranked

__all__ = ["pixel_auroc"]


def pixel_auroc(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The area below the ROC curve of the pixels, regions merged (Mann and Whitney's U over all
    pairs): `pixel_auroc`."""
    return {"pixel_auroc": areas(ranked.pixels, [1.0])[0]}
