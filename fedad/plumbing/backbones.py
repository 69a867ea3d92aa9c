"""Networks that people have, by a short name: which model of timm it is, and which of its layers.

`embedder.backbone` takes a name of this table or any of timm's. Weights are not part of it: nothing
is downloaded unless `embedder.weights = "hub"` asks. A licence is that of the weights which timm
has, in its words.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """A network: timm's name, the layers joined, whose grid the others are brought to, the side of
    a patch that its input must be a multiple of (1: any), and its weights' licence."""

    model: str
    layers: str
    grid: str
    patch: int
    licence: str


BACKBONES = {
    "lite0": Known("tf_efficientnet_lite0.in1k", "layer2,layer3", "layer2", 1, "apache-2.0"),
    "wide-resnet-50": Known(
        "wide_resnet50_2.tv_in1k", "layer2,layer3", "layer2", 1, "bsd-3-clause"
    ),
    # Tokens of the last block, as AnomalyDINO takes them (Damm et al., WACV 2025).
    "dinov2-s14": Known("vit_small_patch14_dinov2.lvd142m", "layer11", "layer11", 14, "apache-2.0"),
    "dinov3-s16": Known(
        "vit_small_patch16_dinov3.lvd1689m", "layer11", "layer11", 16, "dinov3-license"
    ),
    # Strides 8 and 16, as of the convolutional ones above.
    "dinov3-convnext-t": Known(
        "convnext_tiny.dinov3_lvd1689m", "layer1,layer2", "layer1", 1, "dinov3-license"
    ),
}


def licence_of(model: str) -> str:
    """The licence of the weights that timm has of a model; empty where this table lacks it."""
    return next((known.licence for known in BACKBONES.values() if known.model == model), "")
