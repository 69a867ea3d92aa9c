"""What a release is: it stands between a method's `fit` and the seal, and never inside a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from fedad.dp.noise import Noise
from fedad.messages.payload import Payload
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

Unit = Literal["image", "part"]
RELATION = "add/remove"  # of one unit of one product at one site: replacing one costs about twice


@dataclass(frozen=True)
class Receipt:
    """What a release did to one upload, for whoever accounts for it later. It stays at the site.

    Args:
        release: the release's name.
        images: how many images it stands for, by category.
    """

    release: str
    images: dict[str, int]


@dataclass(frozen=True)
class Unprotected(Receipt):
    """Nothing was done: whoever holds the upload may learn anything. It costs infinite epsilon."""


@dataclass(frozen=True)
class Gaussians(Receipt):
    """Sums over all units of a category, each with Gaussian noise of its own.

    Each category has all of them over its own images alone, so what one of them costs, all do.

    Args:
        epsilon: what was asked for, at `delta`.
        unit: what one is added or removed of: an image, or all images of a part.
        noise: of each sum, the standard deviation of its noise over its sensitivity, which is the
            Euclidean length by which one unit changes it at most.
        private: whether the noise was the operating system's; else epsilon is infinite.
    """

    epsilon: float
    delta: float
    unit: Unit
    noise: tuple[float, ...]
    private: bool


@dataclass(frozen=True)
class SampledGaussians(Receipt):
    """Steps of DP-SGD: each over a Poisson sample of the units, with Gaussian noise.

    Args:
        epsilon, delta, unit, private: see `Gaussians`.
        noise: the standard deviation of a step's noise over the clipping norm.
        rate: the probability with which each unit is in a step.
        steps: how many there were.
    """

    epsilon: float
    delta: float
    unit: Unit
    noise: float
    rate: float
    steps: int
    private: bool


class Release(Protocol):
    """Changes an upload so that it tells less of any one image.

    Args:
        upload: what `fit` returned, sealed.
        features: what it was made of.
        noise: draws from the operating system's entropy. It is seeded in tests alone, and the
            receipt then says that nothing is private.

    Returns:
        what may leave the site, of the same kind, and a receipt.
    """

    def __call__(
        self, upload: Payload, features: Features | InParts, *, noise: Noise
    ) -> tuple[Payload, Receipt]: ...
