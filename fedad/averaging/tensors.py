"""Payloads of weights -> one: each float array is averaged over the sites, in their order.

`mean` is FedAvg's (McMahan et al., AISTATS 2017). `median` and `trimmed` are the robust ones (Yin
et al., ICML 2018): one site of three or more cannot move a value beyond those of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np

from fedad.messages.payload import Payload
from fedad.messages.schema import FLOATS, Array, slots

P = TypeVar("P", bound=Payload)
Averaging = Literal["mean", "median", "trimmed"]

TRIMMED = 0.2  # the share of the sites whose values are left out at each end


def averaged(payloads: Sequence[P], weights: Sequence[float], how: Averaging = "mean") -> P:
    """The first payload with its float arrays averaged over all; its other fields are its own.

    Args:
        payloads: of one kind, their arrays of equal shapes, in the order of their sites' names.
        weights: of each, 0 or more, not all 0. The robust ones leave out who has 0, and count the
            others alike, since a weight is what a liar would claim.
        how: of `mean`, `median` and `trimmed`.

    Returns:
        values in float64, rounded to float32 once.
    """
    names = [
        name
        for name, slot in slots(type(payloads[0])).items()
        if isinstance(slot.kind, Array) and slot.kind.kinds == FLOATS and not slot.stays
    ]
    arrays = [{name: getattr(one, name) for name in names} for one in payloads]
    return payloads[0].replace(**averaged_arrays(arrays, weights, how))


def averaged_arrays(
    payloads: Sequence[Mapping[str, np.ndarray]], weights: Sequence[float], how: Averaging = "mean"
) -> dict[str, np.ndarray]:
    """Each named array averaged over all; see `averaged`."""
    able = [k for k, weight in enumerate(weights) if weight > 0]
    shares = np.array([weights[k] for k in able], np.float64) / sum(weights[k] for k in able)
    return {
        name: _WAYS[how]([payloads[k][name] for k in able], shares).astype(np.float32)
        for name in payloads[0]
    }


def mean(arrays: Sequence[np.ndarray], shares: np.ndarray) -> np.ndarray:
    """The weighted mean in float64, added in the order of the arrays."""
    total = np.zeros(arrays[0].shape)
    for array, share in zip(arrays, shares, strict=True):
        total += share * array.astype(np.float64)
    return total


def median(arrays: Sequence[np.ndarray], shares: np.ndarray) -> np.ndarray:
    """The median of each value, whatever the shares."""
    return np.median(np.stack(arrays).astype(np.float64), axis=0)


def trimmed(arrays: Sequence[np.ndarray], shares: np.ndarray) -> np.ndarray:
    """The mean of each value without the lowest and the highest fifth, at least one of each where
    there are three; whatever the shares."""
    ordered = np.sort(np.stack(arrays).astype(np.float64), axis=0)
    cut = max(int(TRIMMED * len(arrays)), int(len(arrays) >= 3))
    return ordered[cut : len(arrays) - cut].mean(0)


_WAYS: dict[str, Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]] = {
    "mean": mean,
    "median": median,
    "trimmed": trimmed,
}
