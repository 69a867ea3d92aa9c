"""The discriminator's head as a module of layers, and its training within a budget of privacy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import leaky_relu

from fedad.dp.noise import Noise
from fedad.dp.public import Public
from fedad.dp.sgd import Budget, Steps, train
from fedad.methods._layers import MARGIN, SLOPE, in_features, spread_of, standardised

if TYPE_CHECKING:  # the discriminator imports this file when it trains
    from fedad.methods.discriminator import Knobs

Draw = Callable[[int], np.random.Generator]
"""A step's number -> what is drawn in it for all images alike, which anybody may know."""


def trained(
    images: np.ndarray,
    layers: Mapping[str, np.ndarray],
    draw: Draw,
    public: Public,
    *,
    knobs: Knobs,
    device: str,
    budget: Budget,
    steps: Steps,
    noise: Noise,
    each: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """The layers of a head after `steps` of DP-SGD on images (n, P, D); see `dp.sgd.train`.

    Args:
        public: by whose mean and spread features are brought to one size while training, so that
            no channel has all of a clipped gradient; and in which the negatives' noise is measured.
    """
    spread = spread_of(public)
    head = Head(standardised(layers, public.mean, spread)).to(device)

    def losses(module: nn.Module, images: torch.Tensor, step: int) -> torch.Tensor:
        rng, (_, patches, features) = draw(step), images.shape
        seen = rng.permutation(patches)[: knobs.patches]
        off = knobs.noise * rng.standard_normal((len(seen), features))
        mean, width, moved = (torch.from_numpy(a).to(images) for a in (public.mean, spread, off))
        return loss(module((images[:, seen] - mean) / width, moved))

    def adam(weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(weights, lr=knobs.private_rate)

    train(head, images, losses, adam, budget=budget, steps=steps, noise=noise, each=each)
    return in_features(head.layers(), public.mean, spread)


def loss(told: torch.Tensor) -> torch.Tensor:
    """(B,): SimpleNet's truncated L1 loss of each image by its logits (B, 2 P): of its patches,
    then of the same with noise."""
    good, bad = told.chunk(2, 1)
    return ((MARGIN - good).clamp_min(0) + (MARGIN + bad).clamp_min(0)).mean(1)


class Head(nn.Module):
    """The layers of a head, of D features and H neurons, in float64; no two images meet in it."""

    def __init__(self, layers: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        neurons, features = layers["hidden"].shape
        self.adapt = nn.Linear(features, features)
        self.hidden = nn.Linear(features, neurons)
        self.norm = nn.LayerNorm(neurons)
        self.out = nn.Linear(neurons, 1, bias=False)
        self.double()
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(torch.tensor(layers[name]).reshape(tensor.shape))

    def forward(self, points: torch.Tensor, off: torch.Tensor) -> torch.Tensor:
        """(B, 2 P): the logits of points (B, P, D), then of the same ones moved by `off` (P, D)
        once they are adapted."""
        adapted = self.adapt(points)
        inside = self.norm(self.hidden(torch.cat([adapted, adapted + off], 1)))
        told: torch.Tensor = self.out(leaky_relu(inside, SLOPE)).squeeze(-1)
        return told

    def layers(self) -> dict[str, np.ndarray]:
        """The layers as arrays, float32."""
        arrays = {
            n: t.detach().cpu().numpy().astype(np.float32) for n, t in self._tensors().items()
        }
        return {**arrays, "out": arrays["out"][0]}

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {
            "adapt": self.adapt.weight,
            "shift": self.adapt.bias,
            "hidden": self.hidden.weight,
            "offset": self.hidden.bias,
            "gain": self.norm.weight,
            "bias": self.norm.bias,
            "out": self.out.weight,
        }
