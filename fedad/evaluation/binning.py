"""Where scores are counted: bins fixed by the format, so that the counts of any two sites add.

| name | image scores | pixel scores | for |
|---|---|---|---|
| `uint8`, `uint16` | a bin a value | a bin a value | integer maps: nothing is lost |
| `float16-float9` | the leading 16 bits | the leading 9 bits | float maps |
| `float9-float5` | the leading 9 bits | the leading 5 bits | the replicates of the bootstrap |
| `uint16by256` | 256 values a bin | 256 values a bin | the same, of 16-bit integers |

The bits are those of a float32 behind its exponent: a bin of m of them is 2^-m of its score wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedad.evaluation.bins import Bins, EdgeBins, FloatBins, IntegerBins


@dataclass(frozen=True, eq=False)
class Binning:
    """The bins of image scores and of pixel scores.

    `unit` is what a region found in full adds, so that coverage is counted in whole numbers.
    """

    name: str
    images: Bins
    pixels: Bins
    unit: int = 2**32

    def adds_to(self, other: Binning) -> bool:
        """Whether counts in these bins and in `other` can be added."""
        return self is other or (self.images, self.pixels, self.unit) == (
            (other.images, other.pixels, other.unit)
        )


def _of_one(bins: Bins, unit: int = 2**32) -> Binning:
    return Binning(bins.name, bins, bins, unit)


UINT8 = _of_one(IntegerBins("uint8"))
UINT16 = _of_one(IntegerBins("uint16"))
FINE = Binning("float16-float9", FloatBins(16), FloatBins(9))
COARSE = Binning("float9-float5", FloatBins(9), FloatBins(5), unit=2**12)
COARSE_UINT16 = _of_one(EdgeBins("uint16by256", np.arange(0, 2**16, 256)), unit=2**12)
FORMATS = {one.name: one for one in (UINT8, UINT16, FINE, COARSE, COARSE_UINT16)}


def binning_for(dtype: np.dtype, *, coarse: bool = False) -> Binning:
    """The bins that maps of `dtype` are counted in; the `coarse` ones are for replicates."""
    fine = {"uint8": UINT8, "uint16": UINT16}.get(dtype.name, FINE)
    return {UINT16.name: COARSE_UINT16, FINE.name: COARSE}.get(fine.name, fine) if coarse else fine
