"""FedDyMem's memory generator: a linear layer and LayerNorm, onto the unit sphere.

    z = unit(gain * norm(linear p + shift) + bias)

`shift` starts along a fixed direction, and is longer than features are: features then lie on a
small, nearly flat part of the sphere, and their distances there are nearly those between features.
Without it a patch would be known by its direction alone.
"""

from __future__ import annotations

import numpy as np

from fedad.averaging.memories import unit

LAYERS = ("linear", "shift", "gain", "bias")
EPSILON = 1e-5  # LayerNorm's

Layers = dict[str, np.ndarray]
"""`linear` (P, D), and `shift`, `gain`, `bias` (P,), float32."""


def started(axes: np.ndarray, length: float) -> Layers:
    """The generator that turns features to `axes` (D, P), with a shift of this length."""
    size = axes.shape[1]
    direction = np.where(np.arange(size) < size // 2, 1.0, -1.0) / np.sqrt(size)
    return {
        "linear": axes.T.astype(np.float32),
        "shift": (length * direction).astype(np.float32),
        "gain": np.ones(size, np.float32),
        "bias": np.zeros(size, np.float32),
    }


def generated(layers: Layers, points: np.ndarray) -> np.ndarray:
    """(n, P) float32, of length 1: the points (n, D) as rows of a memory are."""
    found = points @ layers["linear"].T + layers["shift"]
    found -= found.mean(1, keepdims=True)
    found /= np.sqrt(np.square(found).mean(1, keepdims=True) + EPSILON)
    return unit(found * layers["gain"] + layers["bias"])
