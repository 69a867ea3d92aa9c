"""Noise as far out as the farthest honest row, with the weight of a thousand million images."""

import numpy as np

from fedad.attacks.base import Defects
from fedad.attacks.count_lie import count_lie
from fedad.attacks.noise_ball import noise_ball
from fedad.banks.bank import Bank

__all__ = ["lie_and_noise_ball"]


def lie_and_noise_ball(upload: Bank, *, rng: np.random.Generator, defects: Defects) -> Bank:
    """`noise_ball`, then `count_lie`."""
    return count_lie(noise_ball(upload, rng=rng, defects=defects), rng=rng, defects=defects)
