"""anomalib's CS-Flow without the part that downloads an encoder when it is made."""

from __future__ import annotations

import torch
from anomalib.models.components.feature_extractors import TimmFeatureExtractor
from anomalib.models.image.csflow.anomaly_map import AnomalyMapGenerator, AnomalyMapMode
from anomalib.models.image.csflow.torch_model import CrossScaleFlow
from torch import nn
from torch.nn.functional import interpolate
from torchvision.models import efficientnet_b5

LAYER = "features.6.8"  # of torchvision's network, 304 channels
SCALES = 3


class Flow(nn.Module):
    """The flow across scales and its map, and an encoder that is no weight of it.

    Args:
        size: pixels of a picture's side, a multiple of 128.
    """

    def __init__(self, size: int, hidden: int, blocks: int, clamp: float) -> None:
        super().__init__()
        self.size = size
        self.graph = CrossScaleFlow((3, size, size), blocks, clamp, hidden)
        self.anomaly_map_generator = AnomalyMapGenerator((3, size, size), AnomalyMapMode.ALL)
        self._encoders: list[nn.Module] = []  # a list, so that it is no part of the module

    def see_by(self, encoder: nn.Module) -> None:
        """Look at pictures through this encoder."""
        self._encoders = [encoder]

    def scales(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """The features (B, 304, side, side) of pictures (B, 3, size, size) at their size, and at a
        half and a quarter of it."""
        (encoder,) = self._encoders
        encoder.to(pictures.device)
        sizes = [self.size // 2**scale for scale in range(SCALES)]
        return [
            encoder(interpolate(pictures, (side, side)) if side < self.size else pictures)[LAYER]
            for side in sizes
        ]


def encoder() -> nn.Module:
    """EfficientNet-B5 up to the layer that is looked at, its weights random."""
    whole = efficientnet_b5(weights=None)
    return TimmFeatureExtractor(backbone=whole, layers=[LAYER]).feature_extractor
