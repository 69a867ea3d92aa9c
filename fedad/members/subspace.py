"""Principal components of good patches as a member: features, and how far they are from the
subspace. Knobs are the method's: `subspace.*`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fedad.members.base import OfMethod, Tap
from fedad.methods.subspace import Subspace, Subspaces
from fedad.types import Features

__all__ = ["SubspaceMember"]


@dataclass(frozen=True)
class SubspaceMember(OfMethod):
    """The member; see the module."""

    @cached_property
    def method(self) -> Subspace:
        """The method with its knobs."""
        return Subspace.of(self.config, device=self.on)

    def tap(self, model: Subspaces, features: Features, *, own: Any | None = None) -> Tap:
        """The features as the network gives them, and their distance to the subspace."""
        maps, _ = self.method.score(model, features)
        return Tap(features.grid, maps)
