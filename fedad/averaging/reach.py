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


Widths = Mapping[str, np.ndarray | float]
"""How far each weight of a name moves where one that is trained moves by 1; 1 of no name."""


def check_reach(
    sent: Mapping[str, np.ndarray],
    known: Mapping[str, np.ndarray],
    *,
    rate: float,
    steps: int,
    widths: Widths | None = None,
) -> None:
    """Refuse weights that no training of so many steps gives from the known ones.

    Args:
        widths: of weights that are trained in other units than they are sent in.

    Raises:
        UploadError: of the word `norm`.
    """
    for name, start in known.items():
        reach = np.asarray(ADAM * rate * steps * (widths or {}).get(name, 1.0))
        most = np.broadcast_to(
            reach + ROUNDED * (np.abs(start).max(initial=0) + reach), start.shape
        )
        moved = np.abs(sent[name] - start.astype(np.float64))
        if (moved > most).any():
            worst = (moved - most).argmax()
            raise UploadError(
                f"a weight of {name} is {moved.flat[worst]:.3g} off what was sent to the site, "
                f"expected at most {most.flat[worst]:.3g} after {steps:,} steps of Adam at a rate "
                f"of {rate:g}",
                "norm",
            )
