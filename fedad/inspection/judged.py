"""A picture held against one product: what its verdict follows from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedad.inspection.inspection import Nearest
from fedad.inspection.recognise import Candidate
from fedad.judging.looks import Looks
from fedad.types import Features, Sample


@dataclass(frozen=True, eq=False)
class Judged:
    """A picture held against one product."""

    sample: Sample
    features: Features
    patches: np.ndarray  # (h, w) float32
    score: float
    nearest: Nearest | None

    @property
    def counted(self) -> np.ndarray:
        """The scores of those patches that count."""
        valid = self.features.valid
        return self.patches if valid is None else self.patches[valid[0]]

    def candidate(self, looks: Looks, scale: tuple[float, float]) -> Candidate:
        """What recognising the product takes."""
        middle = float(np.median(self.counted)) if self.counted.size else 0.0
        return Candidate(middle, looks, scale)
