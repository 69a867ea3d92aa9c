"""The student of `ast`: a convolutional network that is no flow, and so differs from its teacher
where it saw nothing like it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from fedad.members._flow import same

SLOPE = 0.2  # of LeakyReLU
GROUPS = 8  # of channels that a norm is over, at most


class Student(nn.Module):
    """Feature maps (B, D, h, w) and positions (B, P, h, w) -> what the teacher is taken to say.

    Norms are over groups of channels of one image (Wu and He, ECCV 2018) in place of the paper's
    over a batch: they have no statistics of a site's images, and average as any weight does.
    """

    def __init__(self, channels: int, condition: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.first = same(channels + condition, hidden, 3)
        self.blocks = nn.ModuleList(Residual(hidden) for _ in range(blocks))
        self.last = same(hidden, channels, 3)

    def forward(self, maps: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """(B, D, h, w)"""
        x = leaky_relu(self.first(torch.cat([maps, positions], 1)), SLOPE)
        for block in self.blocks:
            x = block(x)
        found: torch.Tensor = self.last(x)
        return found


class Residual(nn.Module):
    """Two convolutions whose result is added to what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (same(channels, channels, 3) for _ in range(2))
        self.one, self.other = (norm(channels) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of the shape of x."""
        inside = leaky_relu(self.one(self.first(x)), SLOPE)
        return leaky_relu(x + self.other(self.second(inside)), SLOPE)


def norm(channels: int) -> nn.GroupNorm:
    """Over groups of as many channels each."""
    groups = next(count for count in range(min(GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)
