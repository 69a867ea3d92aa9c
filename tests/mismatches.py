"""Ways to embed otherwise than everybody else, of which a hash of the weights sees few."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from fedad.embedders.backbone import Backbone
from fedad.embedders.embedder import Embedder
from fedad.embedders.handshake import Probe, probe

Change = Callable[[Backbone], Backbone]


def probed(embed: Embedder, change: Change = lambda backbone: backbone, **knobs: int) -> Probe:
    """The probe of a network that is changed, or run with other knobs, and says that it is not."""
    changed = change(replace(embed.backbone, knobs=replace(embed.knobs, **knobs)))
    stand_in: Any = SimpleNamespace(
        backbone=changed, knobs=changed.knobs, fingerprint=embed.fingerprint
    )
    return probe(stand_in)


def _prepared(otherwise: Callable[[Image.Image, int], Image.Image | np.ndarray]) -> Change:
    class Otherwise(Backbone):
        def prepare(self, image: Image.Image) -> np.ndarray:
            return np.ascontiguousarray(otherwise(image, self.knobs.size))

    return lambda backbone: Otherwise(**vars(backbone))


def _resized(image: Image.Image, side: int, how: Image.Resampling) -> Image.Image:
    return image.resize((side, side), how)


def _there_and_back(image: Image.Image, side: int) -> Image.Image:
    small = _resized(image, side // 2, Image.Resampling.BILINEAR)
    return _resized(small, side, Image.Resampling.BILINEAR)


def _through_jpeg(image: Image.Image, side: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return _resized(Image.open(stream), side, Image.Resampling.BILINEAR)


def _cropped(image: Image.Image, side: int) -> Image.Image:
    larger = side * 8 // 7
    at = (larger - side) // 2
    return _resized(image, larger, Image.Resampling.BILINEAR).crop((at, at, at + side, at + side))


def _model(change: Callable[[torch.nn.Module], object]) -> Change:
    def changed(backbone: Backbone) -> Backbone:
        model = copy.deepcopy(backbone.model)
        change(model)
        return replace(backbone, model=model)

    return changed


def _noisy(model: torch.nn.Module) -> None:
    torch.manual_seed(0)
    for weights in model.parameters():
        weights.mul_(1 + 0.02 * torch.randn_like(weights))


def rounded(dtype: torch.dtype) -> Change:
    def change(model: torch.nn.Module) -> None:
        for weights in model.parameters():
            weights.copy_(weights.to(dtype).float())

    return _model(change)


NEAREST, LANCZOS = Image.Resampling.NEAREST, Image.Resampling.LANCZOS
MISMATCHES: dict[str, Change] = {
    "weights 2 % off": _model(_noisy),
    "weights rounded to bfloat16": rounded(torch.bfloat16),
    "batch norm in training mode": _model(lambda model: model.train()),
    "colours as BGR": _prepared(
        lambda i, s: np.asarray(_resized(i, s, Image.Resampling.BILINEAR))[..., ::-1]
    ),
    "resized by the nearest pixel": _prepared(lambda i, s: _resized(i, s, NEAREST)),
    "resized by Lanczos": _prepared(lambda i, s: _resized(i, s, LANCZOS)),
    "resized there and back": _prepared(_there_and_back),
    "cropped to the middle": _prepared(_cropped),
    "saved as JPEG in between": _prepared(_through_jpeg),
    "colours not normalised": lambda b: replace(b, mean=b.mean * 0, std=b.std * 0 + 1),
}
