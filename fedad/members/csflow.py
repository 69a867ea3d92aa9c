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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from fedad.averaging.tensors import Averaging
from fedad.members._borrowed import Borrowed
from fedad.members._images import batches_of, numbers_of, pixels_of
from fedad.members._presets import Preset
from fedad.members._weights import Arrays
from fedad.types import Features

if TYPE_CHECKING:  # what takes torch is imported when it is used
    import torch
    from torch import nn

    from fedad.embedders.in_parts import InParts

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

    def trained(
        self, features: Features | InParts, group: str, start: Arrays, rng: np.random.Generator
    ) -> Arrays:
        """The flow after `csflow.epochs` of the site's pictures."""
        from fedad.members._torched import trained
        from fedad.plumbing.compute import threads

        with threads(self.config.embedder.threads):
            network = self.filled(start).train()
            trained(
                network,
                self._batches(network, features, group or None, rng),
                lambda scales: _loss(network, scales),
                rate=self.knobs.rate,
                knob="csflow.rate",
                clip=CLIP,
            )
        return self.emptied(network)

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

    def _batches(
        self,
        network: Any,
        features: Features | InParts,
        category: str | None,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[torch.Tensor]]:
        """What the encoder sees of the pictures of a product, or of all, of `csflow.epochs`; each
        picture goes through it once."""
        import torch

        from fedad.members._anomalib import prepared

        pixels, numbers = pixels_of(features), numbers_of(features, category)
        with torch.no_grad():
            seen = [
                network.scales(prepared(pixels[k], self.knobs.size, self.device)) for k in numbers
            ]
        scales = [torch.cat(some) for some in zip(*seen, strict=True)]
        for _ in range(self.knobs.epochs):
            for some in batches_of(len(numbers), self.knobs.batch, rng):
                yield [one[some] for one in scales]


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
