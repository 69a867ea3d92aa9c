"""Image AUROC: the chance that a defective image scores above a good one; ties count half."""

from collections.abc import Sequence

from fedad.evaluation.curve import Bounded, areas
from fedad.evaluation.ranked import Ranked

__all__ = ["image_auroc"]


def image_auroc(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The area below the ROC curve of the images (Mann and Whitney's U over all pairs):
    `image_auroc`."""
    return {"image_auroc": areas(ranked.images, [1.0])[0]}
