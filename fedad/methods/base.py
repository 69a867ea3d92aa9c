"""What a federated method is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np

from fedad.config import Config
from fedad.plugins import plugin
from fedad.types import Bank, Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts

OWN = -1  # in place of a site's number: the site's own bank, which did not travel


class Method(Protocol):
    """Three pure functions, in the order they run, and what builds them from a configuration.

    `merge` gets the uploads in the order of their sites' names, so a run does not depend on who
    answered first. One-round methods have `rounds == 1` and get `model = None`. With one site,
    `score` after `merge` is the centralised method. A method never sees a test image before
    `score`.
    """

    rounds: int

    @classmethod
    def of(cls, config: Config, *, device: str) -> Self:
        """The method with its knobs; `device` is a knob that `compute.device_of` settles when
        something is computed."""
        ...

    def fit(
        self, features: Features | InParts, model: Bank | None, *, rng: np.random.Generator
    ) -> Bank:
        """At a site: private data in, what may travel out (once it is sealed)."""
        ...

    def merge(
        self, uploads: Sequence[Bank], model: Bank | None, *, rng: np.random.Generator
    ) -> Bank:
        """At the server: all uploads in, the model that is broadcast out."""
        ...

    def score(
        self, model: Bank, features: Features, *, own: Bank | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """At a site: maps (B, h, w) and image scores (B,) float32, higher is more anomalous.

        `own` is the site's own bank, which never travels.
        """
        ...


@runtime_checkable
class Tracing(Protocol):
    """What a method whose model is made of rows can say besides: whose row explains a patch."""

    def trace(
        self, model: Bank, features: Features, *, own: Bank | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `score` gives, and (B, h, w) int32: the number, in `model.sites`, of the site that
        the nearest row of each patch is from, or `OWN`."""
        ...


def method_of(config: Config) -> Method:
    """The method that `round.method` names, with its knobs."""
    method = plugin("methods", config.round.method)
    return method.of(config, device=config.embedder.device)
