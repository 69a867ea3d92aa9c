"""The two networks of `draem`: an image without its defect, and where the defect is.

After Zavrtanik et al. (ICCV 2021); own code, with the width of the first level as a knob. Norms are
over groups of channels of one image, in place of the paper's over a batch: they average.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d, relu

from fedad.members._student import norm

GROWTH = (1, 2, 4, 8, 8)  # channels of each level, in those of the first


class Draem(nn.Module):
    """Images (B, 3, H, W) from 0 to 1, H and W multiples of 16 -> reconstructions, logits.

    Args:
        reconstruction, discrimination: channels of the first level of each network.
    """

    def __init__(self, reconstruction: int, discrimination: int) -> None:
        super().__init__()
        self.reconstruct = UNet(3, 3, [reconstruction * grown for grown in GROWTH], joined=False)
        self.discriminate = UNet(6, 2, [discrimination * grown for grown in GROWTH], joined=True)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstructions (B, 3, H, W), and logits (B, 2, H, W) of good and of a defect."""
        restored, logits, _ = self.all(images)
        return restored, logits

    def all(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As `forward`, and the activations (B, C, H / 4, W / 4) that logits are made of."""
        restored, _ = self.reconstruct(images)
        logits, inside = self.discriminate(torch.cat([images, restored], 1))
        return restored, logits, inside


class UNet(nn.Module):
    """Levels of two convolutions each, every one half as large as the last, and up again.

    Args:
        widths: channels of each level.
        joined: whether a level on the way up sees that on the way down (Ronneberger et al.,
            MICCAI 2015); without, all has to pass through the smallest.
    """

    SHOWN = 2  # the level whose activations on the way up are shown: a quarter of the image

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], *, joined: bool) -> None:
        super().__init__()
        self.joined = joined
        self.down = nn.ModuleList(
            Pair(above, width) for above, width in zip([inputs, *widths], widths, strict=False)
        )
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.narrow = nn.ModuleList(nn.Conv2d(below, width, 1) for below, width in rising)
        self.up = nn.ModuleList(Pair(width * (1 + joined), width) for _, width in rising)
        self.last = nn.Conv2d(widths[0], outputs, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, outputs, H, W), and the activations of the level `SHOWN`."""
        levels = list[torch.Tensor]()
        for number, pair in enumerate(self.down):
            x = pair(max_pool2d(x, 2) if number else x)
            levels.append(x)
        shown = x
        for number, (narrow, pair) in enumerate(zip(self.narrow, self.up, strict=True)):
            level = len(levels) - 2 - number
            x = interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = pair(torch.cat([x, levels[level]], 1) if self.joined else x)
            shown = x if level == self.SHOWN else shown
        return self.last(x), shown


class Pair(nn.Module):
    """Two convolutions, each with its norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.one, self.other = norm(outputs), norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, outputs, H, W)"""
        return relu(self.other(self.second(relu(self.one(self.first(x))))))
