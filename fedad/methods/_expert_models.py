"""Experts that judge: banks, or discriminators, each the whole of them as one inner model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from fedad.banks.bank import Bank
from fedad.messages.schema import FLOATS, Array
from fedad.methods._experts import Experts
from fedad.methods._layers import LAYERS
from fedad.methods.discriminator import Heads


@dataclass(frozen=True, eq=False, kw_only=True)
class BankExperts(Experts):
    """Experts that are banks: M rows of D features, each of one expert."""

    rows: Annotated[np.ndarray, Array("M D", FLOATS)]
    whose: Annotated[np.ndarray, Array("M", ("int32",), into="experts")]

    def inner(self) -> Bank:
        """One bank, whose products are the experts."""
        table = self.routed[None]
        return Bank(
            rows=self.rows,
            category=self.whose,
            site=np.zeros(len(self.rows), np.int32),
            row=np.arange(len(self.rows), dtype=np.int32),
            categories=self.experts,
            sites=("all",),
            images=table,
            patches=table * self.fingerprint.patches,
            fingerprint=self.fingerprint,
            dtype=self.dtype,
        )

    @classmethod
    def made(cls, known: Experts, bank: Bank) -> BankExperts:
        """The experts that `bank` has rows of."""
        there = [k for k, name in enumerate(known.experts) if name in bank.categories]
        kept = known.bare().take(there)
        numbers = np.array([kept.experts.index(name) for name in bank.categories], np.int32)
        return cls(**kept.facts(), rows=bank.rows, whose=numbers[bank.category])


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadExperts(Experts):
    """Experts that are discriminators: a head of D features and H neurons each."""

    adaptor: Annotated[np.ndarray, Array("E D G", FLOATS)]  # G is D
    shift: Annotated[np.ndarray, Array("E D", FLOATS)]
    hidden: Annotated[np.ndarray, Array("E H D", FLOATS)]
    offset: Annotated[np.ndarray, Array("E H", FLOATS)]
    gain: Annotated[np.ndarray, Array("E H", FLOATS)]
    bias: Annotated[np.ndarray, Array("E H", FLOATS)]
    out: Annotated[np.ndarray, Array("E H", FLOATS)]

    def inner(self) -> Heads:
        """Heads, whose products are the experts."""
        layers: Any = {layer: getattr(self, _FIELD.get(layer, layer)) for layer in LAYERS}
        return Heads(
            **layers,
            images=self.routed,
            categories=self.experts,
            sites=self.sites,
            fingerprint=self.fingerprint,
            dtype=self.dtype,
        )

    @classmethod
    def made(cls, known: Experts, heads: Heads) -> HeadExperts:
        """The experts that `heads` has a head of; those that it has none of keep their own."""
        old = known.inner() if isinstance(known, HeadExperts) else None
        there = [
            k
            for k, name in enumerate(known.experts)
            if name in heads.categories or (old is not None and name in old.categories)
        ]
        kept = known.bare().take(there)
        some = [
            heads.take([heads.categories.index(name)])
            if old is None or name in heads.categories
            else old.take([old.categories.index(name)])
            for name in kept.experts
        ]
        layers: Any = {
            _FIELD.get(layer, layer): np.concatenate([getattr(one, layer) for one in some])
            for layer in LAYERS
        }
        return cls(**kept.facts(), **layers)


_FIELD = {"adapt": "adaptor"}  # a layer of heads, and its field beside `adapt`, which says how


def made_of(known: Experts, merged: Bank | Heads) -> Experts:
    """The experts that a merged bank has rows of, or that there are heads of."""
    if isinstance(merged, Heads):
        return HeadExperts.made(known, merged)
    return BankExperts.made(known, merged)
