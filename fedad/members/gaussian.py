"""Gaussians of good patches by place as a member: features, and their Mahalanobis distance. Knobs
are the method's: `gaussian.*`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fedad.members.base import OfMethod, Tap
from fedad.methods.gaussian import Gaussian
from fedad.types import Features

__all__ = ["GaussianMember"]


@dataclass(frozen=True)
class GaussianMember(OfMethod):
    """The member; see the module."""

    @cached_property
    def method(self) -> Gaussian:
        """The method with its knobs."""
        return Gaussian.of(self.config, device=self.on)

    def tap(self, model: Any, features: Features, *, own: Any | None = None) -> Tap:
        """The features as the network gives them, and what the method makes of each."""
        maps, _ = self.method.score(model, features)
        return Tap(features.grid, maps)
