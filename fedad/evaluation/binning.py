"""Where scores are counted: bins fixed by the format, so that the counts of any two sites add.

| name | bins | for |
|---|---|---|
| `uint8`, `uint16` | one a value | integer maps: counting loses nothing |
| `log4096` | 4,096 from 1e-2 to 1e2, each 0.23 % wide | float maps; end bins hold all beyond |
| `log256`, `uint16by256` | 256 over the same range | the replicates of the bootstrap |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Binning:
    """Bin k holds the scores from `lower[k]` up to, not including, `lower[k + 1]`.

    The first bin also holds all that is lower, the last all that is higher. `unit` is what a
    region found in full adds, so that coverage is counted in whole numbers. `lossless` says that
    scores which share a bin are equal.
    """

    name: str
    lower: np.ndarray  # (bins,) ascending
    unit: int = 2**32
    lossless: bool = False

    def __len__(self) -> int:
        return len(self.lower)

    def count(self, scores: np.ndarray) -> np.ndarray:
        """How many of `scores` (n,) fall in each bin: (bins,) int64."""
        if self.lossless and scores.dtype.kind == "u":
            return np.bincount(scores, minlength=len(self)).astype(np.int64)
        below = np.searchsorted(np.sort(scores), self.lower[1:])
        return np.diff(below, prepend=0, append=len(scores))

    def bin_of(self, score: float) -> int:
        """The bin of one score."""
        return int(np.searchsorted(self.lower[1:], score, side="right"))

    def adds_to(self, other: Binning) -> bool:
        """Whether counts in these bins and in `other` can be added."""
        return self.unit == other.unit and np.array_equal(self.lower, other.lower)


def _logarithmic(bins: int, unit: int) -> Binning:
    lower = np.logspace(-2, 2, bins + 1)[:-1].astype(np.float32)  # alike on every machine's libm
    return Binning(f"log{bins}", lower, unit)


UINT8 = Binning("uint8", np.arange(2.0**8), lossless=True)
UINT16 = Binning("uint16", np.arange(2.0**16), lossless=True)
FINE = _logarithmic(4096, unit=2**32)
COARSE = _logarithmic(256, unit=2**16)
COARSE_UINT16 = Binning("uint16by256", np.arange(0, 2.0**16, 256), unit=2**16)
FORMATS = {one.name: one for one in (UINT8, UINT16, FINE, COARSE, COARSE_UINT16)}


def binning_for(dtype: np.dtype, *, coarse: bool = False) -> Binning:
    """The bins that maps of `dtype` are counted in; the `coarse` ones are for replicates."""
    fine = {"uint8": UINT8, "uint16": UINT16}.get(dtype.name, FINE)
    return {"uint16": COARSE_UINT16, "log4096": COARSE}.get(fine.name, fine) if coarse else fine
