"""SimpleNet's head as a member: what its adaptor makes of features, and how far they are from what
its discriminator holds for normal. Knobs are the method's: `discriminator.*`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fedad.members.base import OfMethod, Tap
from fedad.methods.discriminator import Discriminator, Heads
from fedad.types import Features

__all__ = ["DiscriminatorMember"]


@dataclass(frozen=True)
class DiscriminatorMember(OfMethod):
    """The member; see the module."""

    @cached_property
    def method(self) -> Discriminator:
        """The method with its knobs."""
        return Discriminator.of(self.config, device=self.on)

    def tap(self, model: Heads, features: Features, *, own: Any | None = None) -> Tap:
        """The adapted features of each image's product, and minus the discriminator's logit.

        Raises:
            MismatchError: features of another backbone than the heads'.
            DataError: an image of a product that no site had a good image of.
        """
        maps, _ = self.method.score(model, features)
        channels = np.empty(features.grid.shape, np.float32)
        for k, name in enumerate(features.categories):  # alone: bits do not depend on its company
            at = model.categories.index(name)
            channels[k] = features.grid[k] @ model.adapt[at].T + model.shift[at]
        return Tap(channels, maps)
