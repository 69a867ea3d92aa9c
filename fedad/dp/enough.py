"""How many images an epsilon takes to be of use: a public rule, asked of no site's count.

What noise leaves depends on n / z: n images a site and product, z the noise multiplier. On the
drawn plants half of what federation brings is left from some 240 on, in the mean of three products
(`benchmarks/private_gain.py`); other parts may take more. With a few tens nothing is.
"""

from __future__ import annotations

import math

from fedad.dp.gaussian import multiplier

HALF = 240


def images_for_half(epsilon: float, delta: float) -> int:
    """Images a site and product at which half of what federation brings is left.

    >>> [images_for_half(epsilon, 1e-5) for epsilon in (10, 5, 2, 1)]
    [120, 220, 480, 900]
    """
    return 10 * math.ceil(HALF * multiplier(epsilon, delta) / 10)
