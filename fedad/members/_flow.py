"""The teacher of `ast`: a normalising flow of feature maps (Rudolph et al., WACV 2023).

A Real-NVP (Dinh et al., ICLR 2017) of coupling blocks whose subnets are convolutions, so that what
is normal at a patch depends on its neighbours. Where a patch lies is a condition. The flow starts
as a mere permutation of channels: what a subnet says is multiplied by a scalar that starts at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from fedad.seeding import stream

ATAN = 0.636  # 2 / pi: the log of a scale lies within the clamp
WAVES = 1e4  # the longest wave of the positions, in patches


class Flow(nn.Module):
    """Feature maps (B, D, h, w) -> latents of the same shape, and log |det J| a patch (B, h, w).

    Args:
        channels: D, 2 or more.
        condition: channels of the positions.
        kernels: of each coupling block's convolutions, odd.
        clamp: most that the log of a scale may be.
        seed: what channels are permuted by before each block; all sites have the same.
    """

    def __init__(
        self,
        channels: int,
        condition: int,
        hidden: int,
        kernels: Sequence[int],
        *,
        clamp: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.orders = [
            stream(seed, "ast", "order", str(block)).permutation(channels).tolist()
            for block in range(len(kernels))
        ]
        self.blocks = nn.ModuleList(
            Coupling(channels, condition, hidden, kernel, clamp) for kernel in kernels
        )

    def forward(
        self, maps: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class; `positions` (B, P, h, w)."""
        volume = maps.new_zeros(maps.shape[0], *maps.shape[2:])
        for order, block in zip(self.orders, self.blocks, strict=True):
            maps, grown = block(maps[:, order], positions)
            volume = volume + grown
        return maps, volume


class Coupling(nn.Module):
    """Each half of the channels is scaled and moved by what the other half says."""

    def __init__(
        self, channels: int, condition: int, hidden: int, kernel: int, clamp: float
    ) -> None:
        super().__init__()
        self.split, self.clamp = channels // 2, clamp
        rest = channels - self.split
        self.by_rest = Subnet(rest + condition, hidden, 2 * self.split, kernel)
        self.by_half = Subnet(self.split + condition, hidden, 2 * rest, kernel)

    def forward(
        self, maps: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps (B, D, h, w), and by how much a patch's volume grew, its logarithm (B, h, w)."""
        x1, x2 = maps[:, : self.split], maps[:, self.split :]
        y1, first = self._moved(x1, self.by_rest(torch.cat([x2, positions], 1)))
        y2, second = self._moved(x2, self.by_half(torch.cat([y1, positions], 1)))
        return torch.cat([y1, y2], 1), first + second

    def _moved(self, x: torch.Tensor, by: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        s, t = by.chunk(2, 1)
        log = self.clamp * ATAN * torch.atan(s / self.clamp)
        return x * log.exp() + t, log.sum(1)


class Subnet(nn.Module):
    """Convolution, ReLU, convolution, times gamma, which starts at 0."""

    def __init__(self, inputs: int, hidden: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.first = same(inputs, hidden, kernel)
        self.last = same(hidden, outputs, kernel)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, outputs, h, w)"""
        found: torch.Tensor = self.last(torch.relu(self.first(x))) * self.gamma
        return found


def same(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps h and w; beyond the border stands what is at the border."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="replicate")


def unlikelihood(latents: torch.Tensor, volume: torch.Tensor) -> torch.Tensor:
    """The negative log likelihood of patches, less its constant: a value a channel, the mean."""
    each = 0.5 * latents.square().sum(1) - volume
    return each.mean() / latents.shape[1]


def positions(channels: int, height: int, width: int) -> torch.Tensor:
    """(P, h, w): sines and cosines of where a patch lies, half of them down and half across
    (Vaswani et al., NeurIPS 2017, section 3.5). P is a multiple of 4."""
    waves = torch.exp(torch.arange(0, channels // 2, 2) * (-math.log(WAVES) / (channels // 2)))

    def along(size: int) -> torch.Tensor:
        angles = torch.arange(size)[None] * waves[:, None]
        return torch.cat([angles.sin(), angles.cos()])

    down = along(height)[:, :, None].expand(-1, height, width)
    across = along(width)[:, None].expand(-1, height, width)
    return torch.cat([down, across])
