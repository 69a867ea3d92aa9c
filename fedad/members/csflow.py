"""CS-Flow (Rudolph et al., WACV 2022) with anomalib's network, by FedAvg.

A frozen EfficientNet-B5 sees a picture at three scales; a normalising flow whose blocks look across
the scales learns how likely good pictures are. `channels` are its latents at all scales, `anomaly`
is anomalib's map, the product over scales of their mean squares; an image's score is the mean of
its map. Pictures stay at the site.

It has no norms of its own, and its weights average. It takes the extra `fedad[anomalib]`. The
encoder's weights are a file's that every site has (`csflow.weights`), or random: nothing is
downloaded. Of Adam the betas are the usual ones, and the volume in the loss is an image's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from fedad.averaging.tensors import Averaging
from fedad.members._borrowed import Borrowed
from fedad.members._presets import Preset

if TYPE_CHECKING:  # what takes torch is imported when it is used
    import torch
    from torch import nn


__all__ = ["CsFlow"]

CELL = 16  # pixels of a side, that a patch of the channels stands for
CLAMP = 3  # most that the log of a scale may be
CLIP = 1.0  # the longest that a gradient may be


@dataclass(frozen=True)
class Knobs:
    """`csflow.*`: the encoder, how large pictures and the flow are, and how it is trained and
    averaged."""

    preset: Preset = "small"  # or paper, which sets all but the weights and averaging
    weights: str = "random"  # of the encoder, or a file that every site has
    rounds: Annotated[int, Field(ge=1)] = 2
    epochs: Annotated[int, Field(ge=1)] = 15  # of each round
    size: Annotated[int, Field(ge=128)] = 256  # pixels of a picture's side
    hidden: Annotated[int, Field(ge=1)] = 48  # channels inside the flow
    blocks: Annotated[int, Field(ge=1)] = 2
    batch: Annotated[int, Field(ge=1)] = 4  # pictures of a step
    rate: Annotated[float, Field(gt=0)] = 1e-3  # of learning, by Adam
    averaging: Averaging = "mean"  # or median, trimmed: one site of three cannot move them far


@dataclass(frozen=True)
class CsFlow(Borrowed):
    """The member; see the module."""

    NAME: ClassVar[str] = "csflow"
    CLIP: ClassVar[float] = CLIP
    MULTIPLE: ClassVar[int] = 128
    PAPER: ClassVar[Mapping[str, Any]] = {
        "rounds": 24,
        "epochs": 10,
        "size": 768,
        "hidden": 1024,
        "blocks": 4,
        "batch": 16,
        "rate": 2e-4,
    }

    def built(self) -> nn.Module:
        """The flow alone, which is what is trained."""
        return _flow(self.knobs.size, self.knobs.hidden, self.knobs.blocks)

    def seeing(self) -> tuple[nn.Module, int]:
        """The flow beside its encoder, and what tells the encoder from others."""
        knobs = self.knobs
        return _seeing(knobs.size, knobs.hidden, knobs.blocks, knobs.weights)

    def shown(self, network: Any, picture: torch.Tensor) -> Sequence[torch.Tensor]:
        """What the encoder sees of a picture, at each scale."""
        found: Sequence[torch.Tensor] = network.scales(picture)
        return found

    def loss(self, network: Any, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        """How unlikely the flow finds them."""
        return _loss(network, batch)

    def tapped(self, network: Any, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The latents (h, w, D) of one image, h and w a sixteenth of `csflow.size`, and anomalib's
        map (side, side)."""
        import torch
        from torch.nn.functional import interpolate

        from fedad.members._anomalib import prepared

        side = self.knobs.size // CELL
        with torch.inference_mode():
            scales = network.scales(prepared(pixels, self.knobs.size, self.device))
            latents, _ = network.graph(scales)
            resized = [interpolate(one, (side, side), mode="bilinear") for one in latents]
            channels = torch.cat(resized, 1)[0].permute(1, 2, 0).contiguous()
            whole = network.anomaly_map_generator(latents)[0, 0]
        return channels.cpu().numpy(), whole.cpu().numpy()

    def image_scores(self, anomaly: np.ndarray) -> np.ndarray:
        """(B,): the mean of each image's map, as the paper has it."""
        found: np.ndarray = anomaly.mean((1, 2), dtype=np.float64)
        return found.astype(np.float32)


def _loss(network: Any, scales: Sequence[torch.Tensor]) -> torch.Tensor:
    """The negative log likelihood of the pictures, a value a feature, the mean."""
    latents, volumes = network.graph(scales)
    squares = sum(one.square().sum() for one in latents)
    volume = volumes.mean()  # each of them is that of all pictures of the batch together
    found: torch.Tensor = (0.5 * squares - volume) / sum(one.numel() for one in latents)
    return found


def _flow(size: int, hidden: int, blocks: int) -> nn.Module:
    from fedad.members._csflow import Flow

    return Flow(size, hidden, blocks, CLAMP)


@lru_cache(maxsize=2)
def _seeing(size: int, hidden: int, blocks: int, weights: str) -> tuple[nn.Module, int]:
    from fedad.members._anomalib import drawn, encoder_from
    from fedad.members._csflow import encoder

    seen = drawn(encoder)
    mark = encoder_from(seen, weights, backbone="efficientnet_b5", knob="csflow.weights")
    network: Any = _flow(size, hidden, blocks)
    network.see_by(seen)
    return network, mark
