"""How usual a score is among good parts: a p-value that holds for as few of them as there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from fedad.judging.thresholds import GoodScore


def p_value(score: float, good: Sequence[GoodScore]) -> float:
    """The conformal p-value (1 + parts that score as high) / (1 + parts).

    A new good part of the same kind has one of at most p with a chance of at most p, for any
    distribution of scores. Images of one part count as one together. A part is stopped at a wished
    rate exactly if its p-value is at most that rate; see `evaluation.threshold`.
    """
    sizes = Counter(one.part for one in good)
    above = sum(1 / sizes[one.part] for one in good if one.score >= score)
    return (1 + above) / (1 + len(sizes))


def among(good: Sequence[GoodScore], site: str, by_site: Mapping[str, float]) -> list[GoodScore]:
    """The good parts that a part is held against whose oddest patch is nearest to a row of a site:
    those of that site, where they have a threshold of their own."""
    return [one for one in good if one.site == site] if site in by_site else list(good)
