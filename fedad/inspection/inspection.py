"""What is said of one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fedad.judging.verdict_words import NOK
from fedad.plumbing.files import json_number


class Box(NamedTuple):
    """A place in a picture, in its own pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Nearest:
    """The normal patch that is nearest to the oddest one: of which site, how far, and where the
    oddest one is."""

    site: str
    distance: float
    place: Box
    place_in: int  # how wide the picture is that `place` is in, in its own pixels


@dataclass(frozen=True)
class Alike:
    """The place in the site's own good images that is most like the oddest one."""

    image: str
    path: Path
    place: Box
    pixels: np.ndarray | None = field(default=None, repr=False)  # (h, w, 3) uint8, if it is there


@dataclass(frozen=True, eq=False)
class Inspection:
    """A picture's verdict and all that it rests on.

    A part is NOK if `score` is above `threshold`. `p_value` says how usual the score is among
    `good_parts`, NaN where none are known. `reason` is why a picture is to be taken again, and
    `stale` why the threshold must be set anew.
    `recognised` says that nobody named the product, and that the model judges several. `picture`
    and `heat`, of the same size and at most `overlay.SIDE` pixels wide and high, are what `overlay`
    draws, colours going from `scale[0]` to `scale[1]`; `size` (H, W) is that of the whole picture.
    """

    name: str
    product: str
    verdict: str
    score: float
    threshold: float
    p_value: float
    good_parts: int
    scale: tuple[float, float]
    seconds: float
    model: str
    reason: str = ""
    stale: str = ""
    recognised: bool = False
    nearest: Nearest | None = None
    alike: Alike | None = None
    picture: np.ndarray = field(default_factory=lambda: np.zeros((1, 1, 3), np.uint8), repr=False)
    heat: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), np.float32), repr=False)
    odd: np.ndarray | None = field(default=None, repr=False)  # (h, w, 3) uint8: the oddest place
    size: tuple[int, int] = (1, 1)
    grey: float = math.nan  # how the whole picture looks: see `judging/looks.py`
    sharpness: float = math.nan

    def told(self) -> dict[str, Any]:
        """What there is to say, as plain values that JSON holds."""
        near, alike = self.nearest, self.alike
        return {
            "image": self.name,
            "product": self.product,
            "recognised": self.recognised,
            "verdict": self.verdict,
            "reason": "; ".join(filter(None, (self.reason, self.stale))),
            "score": json_number(self.score),
            "threshold": json_number(self.threshold),
            "p_value": json_number(self.p_value),
            "good_parts": self.good_parts,
            "nearest_site": near.site if near else None,
            "nearest_distance": json_number(near.distance) if near else None,
            "place": list(near.place) if near else None,
            "alike_image": alike.image if alike else None,
            "alike_place": list(alike.place) if alike else None,
            "grey": json_number(self.grey),
            "sharpness": json_number(self.sharpness),
            "model": self.model,
            "seconds": round(self.seconds, 4),
        }

    def line(self) -> str:
        """One line for a person."""
        whose = f" ({self.product}, recognised)" if self.recognised else ""
        said = f"{self.verdict:10} {self.name}{whose}  score {self.score:.4g}"
        said += f", limit {self.threshold:.4g}"
        if not math.isnan(self.p_value):
            said += f", p {self.p_value:.3g} among {self.good_parts} good parts"
        if self.reason:
            said += f": {self.reason}"
        elif self.verdict == NOK and self.nearest:
            place = self.nearest.place
            where = f"oddest at {place.left + place.width // 2},{place.top + place.height // 2}"
            said += f": {where}, {self.nearest.distance:.3g} from the nearest normal patch"
            said += f" ({self.nearest.site})" if self.nearest.site else ""
        return f"{said}; {self.stale}" if self.stale else said
