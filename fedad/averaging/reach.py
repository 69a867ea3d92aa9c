"""How far a site can have moved the weights that it was sent.

A step of Adam moves a weight by at most `rate` (1 - b1) / sqrt(1 - b2), whatever its gradient is
(Kingma and Ba, ICLR 2015, section 2.1). So many steps bound what one site adds to an average, even
to a mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedad.errors import UploadError

ADAM = 3.2  # rates a step, with Adam's usual b1 = 0.9 and b2 = 0.999
ROUNDED = 0.01  # of the largest value: more than int8 rounds by


def check_reach(
    sent: Mapping[str, np.ndarray], known: Mapping[str, np.ndarray], *, rate: float, steps: int
) -> None:
    """Refuse weights that no training of so many steps gives from the known ones.

    Raises:
        UploadError: of the word `norm`.
    """
    reach = ADAM * rate * steps
    for name, start in known.items():
        slack = ROUNDED * (float(np.abs(start).max(initial=0)) + reach)
        moved = float(np.abs(sent[name] - start).max(initial=0))
        if moved > reach + slack:
            raise UploadError(
                f"a weight of {name} is {moved:.3g} off what was sent to the site, expected at "
                f"most {reach + slack:.3g} after {steps:,} steps of Adam at a rate of {rate:g}",
                "norm",
            )
