"""What members made of anomalib's networks share: its frozen encoder, and pictures as its own
pre-processing gives them.

Its torch modules are built directly, without its trainer, and nothing is downloaded: an encoder's
weights are a file's, or random ones that all sites draw alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as images

from fedad.embedders.weights import fingerprint, load_weights
from fedad.members._weights import Arrays, Shapes

SEED = 0  # of random encoders
NOISE = 2  # pictures of it that they see
MEAN, SPREAD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of ImageNet's pictures, 0 to 1
DIGITS = 12  # of a sha256 that tell encoders apart: 48 bits

M = TypeVar("M", bound=nn.Module)


def drawn(build: Callable[[], M]) -> M:
    """What `build` makes of torch's random numbers, the same everywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return build()


def encoder_from(encoder: nn.Module, weights: str, *, backbone: str, knob: str) -> int:
    """Fill an encoder from "random", which it is already, or a file; freeze it, and return what
    tells it apart from others.

    Raises:
        DataError: the file is missing, no plain weights file, or another backbone's.
    """
    load_weights(encoder, weights, backbone=backbone, names=[*encoder.state_dict()], knob=knob)
    encoder.eval().requires_grad_(False)
    mark = int(fingerprint(encoder)[:DIGITS], 16)
    if weights == "random":
        awake(encoder)
    return mark


def awake(encoder: nn.Module) -> None:
    """Let each norm of a random encoder bring what it gets of blurred noise to the size of 1:
    without, what it says of any picture may vanish on the way through its layers, as an
    EfficientNet's does."""

    def sized(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        norm.running_var.fill_(inputs[0].square().mean())  # type: ignore[operator]

    norms = [one for one in encoder.modules() if isinstance(one, nn.BatchNorm2d)]
    hooks = [one.register_forward_pre_hook(sized) for one in norms]
    noise = torch.randn(NOISE, 3, 16, 16, generator=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        encoder(interpolate(noise, scale_factor=8, mode="bilinear"))
    for hook in hooks:
        hook.remove()


def prepared(pixels: np.ndarray, side: int, device: str) -> torch.Tensor:
    """(1, 3, side, side): an image (H, W, 3) uint8 as a square, its colours standardised."""
    found = torch.tensor(pixels).permute(2, 0, 1).float().div(255)
    found = images.resize(found, [side, side], antialias=True)
    return images.normalize(found, MEAN, SPREAD)[None].to(device)


def norms_of(module: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The batch norms of a network that are trained, by their names."""
    return {
        name: one
        for name, one in module.named_modules()
        if isinstance(one, nn.BatchNorm2d) and one.weight.requires_grad
    }


def widths_of(module: nn.Module) -> Shapes:
    """How many channels each norm has."""
    return {name: (one.num_features,) for name, one in norms_of(module).items()}


def statistics_of(module: nn.Module) -> tuple[Arrays, Arrays]:
    """The means and the spreads that each norm has seen."""
    norms = norms_of(module)
    means = {name: one.running_mean.cpu().numpy() for name, one in norms.items()}  # type: ignore[union-attr]
    spreads = {name: one.running_var.sqrt().cpu().numpy() for name, one in norms.items()}  # type: ignore[union-attr]
    return means, spreads


def with_statistics(
    module: M, means: Mapping[str, np.ndarray], spreads: Mapping[str, np.ndarray]
) -> M:
    """The network, its norms taken to have seen these means and spreads."""
    for name, one in norms_of(module).items():
        one.running_mean.copy_(torch.tensor(means[name]))  # type: ignore[union-attr]
        one.running_var.copy_(torch.tensor(spreads[name]).square())  # type: ignore[union-attr]
    return module
