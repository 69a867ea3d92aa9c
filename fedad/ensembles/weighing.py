"""How much each member counts, by how well it tells defects that were drawn from good images.

The rule, stated before any figure was looked at but for `least-odds`, which was added after one
look at metal_plate: of scores of images the measure is the AUROC, of maps the mean share of a
defect's patches above the limits at which 0 to 5 % of good patches are. Of n images (the fewer of
good and drawn ones) a measure m counts as (n m + 1/2) / (n + 1): few images tell little. A
member's odds are m / (1 - m), of an AUROC from chance on, 2 AUROC - 1. A member weighs its odds;
who has less than `ensemble.least-odds` of the best one's odds weighs nothing.
"""

from __future__ import annotations

import numpy as np

from fedad.ensembles.calibrating import ScoreCounts

LEVEL = 0.05  # the share of good patches up to which a map is looked at


def weights_of(counts: ScoreCounts, least: float) -> np.ndarray:
    """(C, O): what each output weighs, of a product's images 1 together, and of its maps 1; alike
    where nothing was drawn.

    Args:
        least: of the best one's odds, below which an output weighs nothing.
    """
    outputs = counts.good.shape[1]
    half = outputs // 2
    found = np.empty((len(counts.categories), outputs))
    for c in range(len(counts.categories)):
        images = min(int(counts.images[c]), int(counts.defects[c]))
        measures = (images * measures_of(counts, c) + 0.5) / (images + 1)
        found[c, :half] = _shares(np.maximum(2 * measures[:half] - 1, 0), least)
        found[c, half:] = _shares(measures[half:], least)
    return found


def measures_of(counts: ScoreCounts, product: int) -> np.ndarray:
    """(O,): the AUROC of images' scores, then the share of defects' patches that maps find."""
    half = counts.good.shape[1] // 2
    good, drawn = counts.good[product], counts.drawn[product]
    images = [auroc(good[o], drawn[o]) for o in range(half)]
    maps = [found_at(good[o], drawn[o], LEVEL) for o in range(half, 2 * half)]
    return np.array([*images, *maps])


def auroc(good: np.ndarray, bad: np.ndarray) -> float:
    """The share of pairs of counts (K,) in which the bad one is higher; a tie is half a pair."""
    pairs = float(good.sum()) * float(bad.sum())
    below = np.concatenate([[0], np.cumsum(good)[:-1]])
    return float((bad * (below + good / 2)).sum()) / pairs if pairs else 0.5


def found_at(good: np.ndarray, bad: np.ndarray, level: float) -> float:
    """The mean share of bad counts (K,) above the limits at which 0 to `level` of the good ones
    are, linear in between."""
    if not good.sum() or not bad.sum():
        return 0.0
    false = np.concatenate([[0], np.cumsum(good[::-1])]) / good.sum()
    true = np.concatenate([[0], np.cumsum(bad[::-1])]) / bad.sum()
    at = int(np.searchsorted(false, level, side="right"))
    false_, true_ = (
        np.append(false[:at], level),
        np.append(true[:at], np.interp(level, false, true)),
    )
    return float(np.trapezoid(true_, false_)) / level


def _shares(measures: np.ndarray, least: float) -> np.ndarray:
    odds = measures / (1 - measures)
    odds = np.where(odds >= least * odds.max(), odds, 0.0)
    if not odds.sum() > 0:
        return np.full(len(odds), 1 / len(odds))
    found: np.ndarray = odds / odds.sum()
    return found
