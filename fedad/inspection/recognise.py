"""Which of a model's products a picture shows: that for which it is the least odd as a whole.

The figure is the one by which a picture is said to be of another product (`judging/looks.py`): the
median of its patch scores, from 0 at the low end of the product's scale to 1 at the product's
limit. A picture above 1 for every product is of none that the model knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fedad.judging.looks import Looks

NONE_KNOWN = "not a product that this model knows"


class Candidate(NamedTuple):
    """A product that a picture may be of, and what it is held against."""

    middle: float  # of the picture's patch scores, as `Look.middle`
    looks: Looks
    scale: tuple[float, float]  # of the product's colours

    @property
    def strangeness(self) -> float:
        """How odd the picture is for the product: 0 at the low end of its scale, and more than 1
        where it is no picture of it."""
        low, high = self.scale
        above = self.looks.strangest - low
        return 1 + (self.middle - self.looks.strangest) / (above if above > 0 else high - low)


def recognised(candidates: Mapping[str, Candidate]) -> str:
    """The product for which a picture is the least odd; of equal ones the first."""
    return min(sorted(candidates), key=lambda name: candidates[name].strangeness)
