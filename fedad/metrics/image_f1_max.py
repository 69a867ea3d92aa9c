"""Image F1-max: the best F1 that any one threshold on the image score reaches.

The threshold is chosen on the test images themselves, so this is a ceiling, not a promise.
"""

from collections.abc import Sequence

import numpy as np

from fedad.evaluation.curve import Bounded, bounded, rankable, ratio
from fedad.evaluation.ranked import Ranked

__all__ = ["image_f1_max"]


def image_f1_max(ranked: Ranked, limits: Sequence[float]) -> dict[str, Bounded]:
    """The largest 2 TP / (2 TP + FP + FN): `image_f1_max`.

    The best threshold is a defective image's score. Of the images of one bin all good ones are
    counted as stopped with it; at best none is.
    """
    curve = ranked.images
    total = rankable(curve)
    best, found = np.zeros((2, *np.shape(total))), np.zeros(1)
    for before, after, gain in curve.steps():
        reached = found + gain.cumsum(axis=-1)
        for k, false in enumerate((after, before)):
            f1 = 2 * reached / np.maximum(reached + false + total[..., None], 1)
            best[k] = np.maximum(best[k], f1.max(axis=-1))
        found = reached[..., -1:]
    drawn, most = (ratio(f1, total > 0) for f1 in best)
    return {"image_f1_max": bounded(curve, drawn, drawn, most)}
