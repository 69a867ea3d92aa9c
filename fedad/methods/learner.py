"""What learns over sites in rounds: a method of `fedad/methods`, and a member of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np

from fedad.averaging.counted import check_images
from fedad.config import Config
from fedad.errors import ConfigError
from fedad.messages.payload import Payload
from fedad.plumbing.compute import device_of
from fedad.types import Enrolled, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


class Round(NamedTuple):
    """What goes up in a round, and what comes down after it."""

    upload: type[Payload]
    model: type[Payload]


class Turn(NamedTuple):
    """Which round it is, from 1, and the model that the last one ended with."""

    number: int = 1
    model: Any = None  # the `Payload` of the last round; None in the first


FIRST = Turn()


class Learner(Protocol):
    """Pure functions in the order they run, and what builds them from a configuration.

    In each of `rounds` every site fits, what it may send goes up, and the server merges it into the
    model that comes down. What a payload marks as staying is given back to `fit` as `own` in the
    next round. `merge` gets the uploads in the order of their sites' names, so a run does not
    depend on who answered first.
    """

    rounds: Sequence[Round]
    needs_pixels: bool  # whether `features.pixels` is there, at the site alone

    @classmethod
    def of(cls, config: Config, *, device: str) -> Self:
        """It with its knobs; `device` is a knob that `compute.device_of` settles when something
        is computed.

        Raises:
            ConfigError: a knob that it cannot heed.
        """
        ...

    def fit(
        self,
        features: Features | InParts,
        turn: Turn,
        *,
        own: Any | None,
        rng: np.random.Generator,
    ) -> Payload:
        """At a site: learn from its good images, and return what may travel once it is sealed.

        Args:
            features: of all its training images. Read them by `parts()`: under
                `coreset.memory-gb` they do not fit in memory at once.
            own: what this site's `fit` returned in the last round; None in the first, or if the
                site missed it.
        """
        ...

    def merge(self, uploads: Sequence[Any], turn: Turn, *, rng: np.random.Generator) -> Payload:
        """At the server: merge the uploads of a round, which mix, into its model."""
        ...

    def judges(self, model: Any, category: str) -> bool:
        """Whether the model knows what is normal of a category."""
        ...

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """At the server: what a site enrolled with, as its upload of this round has it: another
        fingerprint or width, where it makes something else of features first."""
        ...

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """At the server: the upload as far as this site can have made it, and what was odd.

        Its form is checked already, and its names, its fingerprint and its width are those that
        the site enrolled with.

        Raises:
            UploadError: no honest site can have made it.
        """
        ...

    def describe(self, model: Any) -> dict[str, Any]:
        """What the record says of the model: plain values that JSON holds."""
        ...


@dataclass(frozen=True)
class LearnerBase:
    """What most of them have in common."""

    config: Config
    on: str = "cpu"  # auto, cpu or cuda
    needs_pixels = False

    @classmethod
    def of(cls, config: Config, *, device: str = "cpu") -> Self:
        """It with its knobs."""
        return cls(config, device)

    @cached_property
    def device(self) -> str:
        """Where tensors are computed; settled when something is."""
        return device_of(self.on)

    def judges(self, model: Any, category: str) -> bool:
        """Whether any site had good images of the category."""
        return category in model.categories

    def expected(self, site: Enrolled, turn: Turn) -> Enrolled:
        """What the site enrolled with."""
        return site

    def admit(self, upload: Any, site: Enrolled, turn: Turn) -> tuple[Any, list[str]]:
        """The upload, if it stands for no more images than the site enrolled."""
        check_images(upload, site)
        return upload, []


def check_whole(kind: type, folder: str, name: str, parts: Sequence[str]) -> None:
    """Refuse a plug-in that lacks a function.

    Args:
        folder: of `fedad/`, where its file is; `base.py` beside it says what there has to be.
    """
    if missing := [part for part in parts if not hasattr(kind, part)]:
        raise ConfigError(
            f"fedad/{folder}/{name}.py: {kind.__name__} lacks {', '.join(missing)}: "
            f"fedad/{folder}/base.py says what a {folder.removesuffix('s')} has"
        )
