"""What a release is: it stands between a method's `fit` and the seal, and never inside a method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from fedad.config import Config
from fedad.dp.noise import Noise
from fedad.dp.receipts import RELATION, Gaussians, Receipt, SampledGaussians, Unit, Unprotected
from fedad.messages.payload import Payload
from fedad.plugins import states
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

__all__ = [
    "RELATION",
    "Gaussians",
    "Receipt",
    "Release",
    "SampledGaussians",
    "Unit",
    "Unprotected",
    "as_released",
    "asked_of_images",
    "is_private",
    "planned",
]


def is_private(config: Config) -> bool:
    """Whether what a run's release lets out is differentially private, so that nothing else that
    leaves a site may depend on its images either; its file says so: `PRIVATE = True`."""
    return states("privacy", config.privacy.release, "PRIVATE = True")


def as_released(config: Config, enrolled: Enrolled) -> Enrolled:
    """What a site enrolled with, as its release has it: in a public projection where the release's
    file says `PROJECTED = True`."""
    if not states("privacy", config.privacy.release, "PROJECTED = True"):
        return enrolled
    from fedad.dp.public import public_of

    public = public_of(enrolled.fingerprint)
    return enrolled._replace(
        fingerprint=replace(enrolled.fingerprint, projection=public.digest),
        features=public.axes.shape[1],
        longest=public.longest,
    )


def planned(config: Config) -> Receipt:
    """The receipt of one mechanism that costs what a run asks for, in all its rounds."""
    from fedad.dp.gaussian import multiplier

    name = config.privacy.release
    if not is_private(config):
        return Unprotected(name, {})
    asked: Any = config.knobs(name)
    noise = multiplier(asked.epsilon, asked.delta)
    return Gaussians(
        name, {}, asked.epsilon, asked.delta, getattr(asked, "unit", "image"), (noise,), True
    )


def asked_of_images(config: Config) -> int:
    """Good images a site and product from which a release of rows is of use; see `dp/enough.py`.
    0 where that is not known."""
    name = config.privacy.release
    if not (is_private(config) and states("privacy", name, "PROJECTED = True")):
        return 0
    from fedad.dp.enough import images_for_half

    asked: Any = config.knobs(name)
    return images_for_half(asked.epsilon, asked.delta)


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
