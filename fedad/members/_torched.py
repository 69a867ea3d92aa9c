"""Networks as named arrays, and how they are trained: what all members with networks share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from fedad.errors import DataError
from fedad.members._weights import Arrays, Shapes

DECAY = 1e-5  # of weights, in their gradients: a step moves them no farther than without

B = TypeVar("B")
M = TypeVar("M", bound=nn.Module)


def shapes_of(module: nn.Module) -> Shapes:
    """The shape of each tensor of a network that is trained."""
    return {name: tuple(one.shape) for name, one in module.named_parameters() if one.requires_grad}


def filled(module: M, arrays: Mapping[str, np.ndarray], device: str) -> M:
    """The network, its trained tensors copied from arrays, on a device."""
    tensors = dict(module.named_parameters())
    with torch.no_grad():
        for name, array in arrays.items():
            tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return module.to(device)


def arrays_of(module: nn.Module) -> Arrays:
    """The trained tensors of a network as arrays, float32."""
    return {
        name: one.detach().cpu().numpy().astype(np.float32)
        for name, one in module.named_parameters()
        if one.requires_grad
    }


def trained(
    module: nn.Module,
    batches: Iterable[B],
    loss: Callable[[B], torch.Tensor],
    *,
    rate: float,
    knob: str,
    clip: float = math.inf,
) -> list[float]:
    """Take a step of Adam for each batch, and return the loss of each.

    Args:
        rate: of learning; `knob` is what a user calls it.
        clip: the longest that a gradient may be.

    Raises:
        DataError: the loss is not finite.
    """
    weights = [one for one in module.parameters() if one.requires_grad]
    adam, losses = torch.optim.Adam(weights, lr=rate, weight_decay=DECAY), list[float]()
    for batch in batches:
        adam.zero_grad()
        found = loss(batch)
        losses.append(found.item())
        if not math.isfinite(losses[-1]):
            raise DataError(
                f"{knob} = {rate:g}: after {len(losses) - 1:,} steps the loss is "
                f"{losses[-1]}, expected a finite one: lower the rate of learning"
            )
        found.backward()
        if math.isfinite(clip):
            nn.utils.clip_grad_norm_(weights, clip)
        adam.step()
    return losses
