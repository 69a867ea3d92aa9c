"""AUC-sPRO: the area below the saturated per-region overlap, up to each false-positive limit.

Bergmann et al., *Beyond Dents and Scratches* (MVTec LOCO), IJCV 2022; AutoVI's headline at 0.05.
A region counts as found once its saturation area is, wherever in the region that is.
"""

from collections.abc import Sequence

from fedad.evaluation.curve import Bounded, areas
from fedad.evaluation.ranked import Ranked

__all__ = ["auc_spro"]


def auc_spro(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The mean of min(found / saturation, 1) over regions and over false-positive rates of 0 to
    each limit: `auc_spro_<limit>`, 1 for a perfect map at every limit."""
    found = areas(ranked.covered, limits)
    return {f"auc_spro_{float(limit)}": area for limit, area in zip(limits, found, strict=True)}
