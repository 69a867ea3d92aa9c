"""PatchCore as a member, as published: its bank, and features beside their nearest row.

Knobs are the method's (`coreset.*`, `bank.*`, `score.*`); its preset is `classic` whatever
`patchcore.preset` says, since a member takes part by one round of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fedad.banks.bank import Bank
from fedad.members.base import OfMethod, Tap
from fedad.methods.patchcore import Knobs as BankKnobs
from fedad.methods.patchcore import PatchCore
from fedad.types import Features

__all__ = ["PatchCoreMember"]


@dataclass(frozen=True)
class PatchCoreMember(OfMethod):
    """The member; see the module."""

    @cached_property
    def method(self) -> PatchCore:
        """PatchCore of the preset `classic`."""
        plain = {**self.config.plugins, "patchcore": BankKnobs(preset="classic")}
        return PatchCore.of(replace(self.config, plugins=plain), device=self.on)

    def tap(self, model: Bank, features: Features, *, own: Any | None = None) -> Tap:
        """The features as the network gives them, and the distance to the nearest row.

        Raises:
            MismatchError: features of another backbone than the bank's.
            DataError: an image of a product that no site had a good image of.
        """
        maps, _ = self.method.score(model, features)
        return Tap(features.grid, maps)
