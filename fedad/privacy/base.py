"""What a release is: it stands between a method's `fit` and the seal, and never inside a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fedad.messages.payload import Payload
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


@dataclass(frozen=True)
class Receipt:
    """What a release did to one upload, for whoever accounts for it later.

    Args:
        release: the release's name.
        images: how many images it stands for, by category.
    """

    release: str
    images: dict[str, int]


@dataclass(frozen=True)
class Unprotected(Receipt):
    """Nothing was done: whoever holds the upload may learn anything. It costs infinite epsilon."""


class Release(Protocol):
    """Changes an upload so that it tells less of any one image.

    Args:
        upload: what `fit` returned, sealed.
        features: what it was made of.
        noise: draws from the operating system's entropy. It is never seeded.

    Returns:
        what may leave the site, of the same kind, and a receipt.
    """

    def __call__(
        self, upload: Payload, features: Features | InParts, *, noise: np.random.Generator
    ) -> tuple[Payload, Receipt]: ...
