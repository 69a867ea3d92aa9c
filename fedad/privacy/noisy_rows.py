"""NOT PRIVATE: Gaussian noise on the rows of a coreset, as public code adds it, to compare with.

It claims what it does not keep. Which patches are rows depends on all images, and one image is in
many rows: adding or removing an image changes most of them, by as much as all rows together are
long. Noise that hid that would be hundreds of times a row's length. Noise that is a share of one
row's length, or is computed as if one row were all that an image changes, leaves it to be seen
whether an image was there. So its receipt says `Unprotected`: it costs infinite epsilon.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from fedad.banks.bank import Bank
from fedad.dp.noise import Noise
from fedad.errors import ConfigError
from fedad.messages.payload import Payload
from fedad.messages.schema import LARGEST
from fedad.privacy.base import Receipt, Unprotected
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["noisy_rows"]


@dataclass(frozen=True)
class Knobs:
    """`noisy_rows.*`: how long the noise on a row is; none of it protects an image."""

    by: Literal["share", "claim"] = "share"
    share: Annotated[float, Field(ge=0, le=10)] = 0.1  # of a row's length, that its noise has
    # What such code claims. By "claim" noise follows from it as if one row were all that an image
    # changes: sqrt(2 ln(1.25 / delta)) times the longest row over epsilon, in each feature.
    claimed_epsilon: Annotated[float, Field(ge=0.01, le=1000)] = 10.0
    claimed_delta: Annotated[float, Field(ge=1e-12, le=0.1)] = 1e-5


def noisy_rows(
    upload: Payload, features: Features | InParts, *, noise: Noise, settings: Knobs = Knobs()
) -> tuple[Payload, Receipt]:
    """`upload` with noise on its rows, which does not make it private; see `base.Release`.

    Raises:
        ConfigError: the method does not upload a bank.
    """
    if not isinstance(upload, Bank):
        raise ConfigError(
            f"privacy.release = 'noisy_rows': it changes the rows of a bank, and this method "
            f"uploads {upload.record()!r}: use round.method = 'patchcore'"
        )
    lengths = np.linalg.norm(upload.rows.astype(np.float64), axis=1)
    drawn = noise.normal(upload.rows.shape) * _deviation(lengths, upload.rows.shape[1], settings)
    rows = np.clip(upload.rows + drawn, -LARGEST, LARGEST).astype(np.float32)
    return upload.replace(rows=rows), Unprotected("noisy_rows", dict(Counter(features.categories)))


def _deviation(lengths: np.ndarray, size: int, settings: Knobs) -> np.ndarray:
    """(M, 1) or (1, 1): the standard deviation of the noise in each feature of each row."""
    if settings.by == "share":
        return (lengths * settings.share / math.sqrt(size))[:, None]
    factor = math.sqrt(2 * math.log(1.25 / settings.claimed_delta)) / settings.claimed_epsilon
    return np.full((1, 1), lengths.max(initial=0) * factor)
