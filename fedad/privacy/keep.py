"""No release: the upload leaves as it is, and a receipt says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fedad.dp.noise import Noise
from fedad.messages.payload import Payload
from fedad.privacy.base import Receipt, Unprotected
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = ["keep"]


def keep(upload: Payload, features: Features | InParts, *, noise: Noise) -> tuple[Payload, Receipt]:
    """`upload` itself; see `base.Release`."""
    return upload, Unprotected("keep", dict(Counter(features.categories)))
