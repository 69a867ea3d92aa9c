"""DP-SGD: a method trains within a budget, so that what it has learned may leave as it is.

It takes the method (`private_fit`): what was trained without noise cannot be released afterwards.
The unit is an image, and each product of a site has the budget for itself, once over all rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedad.dp.noise import Noise
from fedad.dp.sgd import Budget
from fedad.errors import ConfigError
from fedad.messages.payload import Payload
from fedad.privacy.base import Receipt
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["dp_sgd"]

PRIVATE = True
WHILE_TRAINING = True


@dataclass(frozen=True)
class Knobs(Budget):
    """`dp_sgd.*`: what a run may spend, and in which steps."""


def dp_sgd(
    upload: Payload, features: Features | InParts, *, noise: Noise, settings: Knobs = Knobs()
) -> tuple[Payload, Receipt]:
    """Nothing that was trained already; see `base.Release`.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"privacy.release = 'dp_sgd': a {upload.record()} that was trained without noise cannot be "
        "released: its method has to offer private_fit"
    )
