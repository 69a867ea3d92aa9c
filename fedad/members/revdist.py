"""Reverse distillation (Deng and Li, CVPR 2022) with anomalib's network, by FedAvg.

A frozen encoder sees a picture; a bottleneck and a decoder, which are trained, give its features
back from the smallest of them. What is not like good pictures is not given back. `channels` are the
differences of the encoder's and the decoder's features, each of length 1, at all scales; `anomaly`
is anomalib's map, the sum over scales of 1 less their cosine, smoothed. Pictures stay at the site.

Its norms are over batches, as anomalib's are: their statistics are averaged over sites by images.
It takes the extra `fedad[anomalib]`. The encoder's weights are a file's that every site has
(`revdist.weights`), or random: nothing is downloaded. Of Adam the betas are the usual ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from fedad.averaging.tensors import Averaging
from fedad.members._borrowed import Borrowed
from fedad.members._presets import Preset

if TYPE_CHECKING:  # what takes torch is imported when it is used
    import torch
    from torch import nn


__all__ = ["RevDist"]

LAYERS = ("layer1", "layer2", "layer3")
CELL = 8  # pixels of a side, that a patch of the channels stands for


@dataclass(frozen=True)
class Knobs:
    """`revdist.*`: the encoder, how large pictures are, how the rest is trained and averaged."""

    preset: Preset = "small"  # or paper, which sets all but the weights and averaging
    backbone: Literal["resnet18", "resnet34", "resnet50", "wide_resnet50_2"] = "resnet18"
    weights: str = "random"  # of the encoder, or a file that every site has
    rounds: Annotated[int, Field(ge=1)] = 3
    epochs: Annotated[int, Field(ge=1)] = 3  # of each round
    size: Annotated[int, Field(ge=64)] = 128  # pixels of a picture's side
    batch: Annotated[int, Field(ge=2)] = 4  # pictures of a step
    rate: Annotated[float, Field(gt=0)] = 2e-3  # of learning, by Adam
    averaging: Averaging = "mean"  # or median, trimmed: one site of three cannot move them far


@dataclass(frozen=True)
class RevDist(Borrowed):
    """The member; see the module."""

    NAME: ClassVar[str] = "revdist"
    MULTIPLE: ClassVar[int] = 32
    PAPER: ClassVar[Mapping[str, Any]] = {
        "backbone": "wide_resnet50_2",
        "rounds": 20,
        "epochs": 10,
        "size": 256,
        "batch": 16,
        "rate": 5e-3,
    }

    def built(self) -> nn.Module:
        """anomalib's network, on no device."""
        import torch

        with torch.device("meta"):
            return _network(self.knobs.backbone, self.knobs.size)

    def seeing(self) -> tuple[nn.Module, int]:
        """The network with its encoder's weights, and what tells the encoder from others."""
        return _seeing(self.knobs.backbone, self.knobs.size, self.knobs.weights)

    def shown(self, network: Any, picture: torch.Tensor) -> Sequence[torch.Tensor]:
        """The picture itself."""
        return [picture]

    def loss(self, network: Any, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        """How far what is decoded is from what was encoded."""
        return _loss(*network(*batch))

    def tapped(self, network: Any, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The differences (h, w, D) of one image, h and w an eighth of `revdist.size`, and
        anomalib's map (side, side)."""
        import torch
        from torch.nn.functional import interpolate, normalize

        from fedad.members._anomalib import prepared

        side = self.knobs.size // CELL
        with torch.inference_mode():
            there = list(network.encoder(prepared(pixels, self.knobs.size, self.device)).values())
            back = network.decoder(network.bottleneck(there))
            off = [normalize(a) - normalize(b) for a, b in zip(there, back, strict=True)]
            resized = [interpolate(one, (side, side), mode="bilinear") for one in off]
            channels = torch.cat(resized, 1)[0].permute(1, 2, 0).contiguous()
            whole = network.anomaly_map_generator(there, back)[0, 0]
        return channels.cpu().numpy(), whole.cpu().numpy()


def _loss(there: list[torch.Tensor], back: list[torch.Tensor]) -> torch.Tensor:
    """The sum over scales of 1 less the cosine of an image's features, all its places in one."""
    import torch
    from torch.nn.functional import cosine_similarity

    pairs = zip(there, back, strict=True)
    return torch.stack(
        [1 - cosine_similarity(a.flatten(1), b.flatten(1)).mean() for a, b in pairs]
    ).sum()


def _network(backbone: str, size: int) -> nn.Module:
    from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
    from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel

    found = ReverseDistillationModel(
        backbone, (size, size), LAYERS, AnomalyMapGenerationMode.ADD, pre_trained=False
    )
    found.encoder.requires_grad_(False)
    return found


@lru_cache(maxsize=2)
def _seeing(backbone: str, size: int, weights: str) -> tuple[nn.Module, int]:
    from fedad.members._anomalib import drawn, encoder_from

    network = drawn(lambda: _network(backbone, size))
    encoder: Any = network.encoder
    mark = encoder_from(
        encoder.feature_extractor, weights, backbone=backbone, knob="revdist.weights"
    )
    return network, mark
