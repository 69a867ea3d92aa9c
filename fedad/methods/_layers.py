"""The layers of a discriminator's head as arrays: how they begin, and in which units.

    logit = out . leaky(norm(hidden (adapt x + shift) + offset) gain + bias)

Within a budget of privacy heads are trained in public units: of features less their public mean,
over their public spread.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedad.dp.public import Public

MARGIN = 0.5  # th of the truncated loss: logits beyond it cost nothing
SLOPE = 0.2  # of LeakyReLU
LAYERS = ("adapt", "shift", "hidden", "offset", "gain", "bias", "out")

Arrays = dict[str, np.ndarray]
"""`adapt` (D, D), `shift` (D,), `hidden` (H, D); `offset`, `gain`, `bias` and `out` (H,)."""


def begun(features: int, neurons: int, rng: np.random.Generator) -> Arrays:
    """A head that adapts nothing, and tells at random."""
    hidden = rng.normal(0, np.sqrt(2 / (neurons + features)), (neurons, features))  # Glorot's
    out = rng.normal(0, np.sqrt(2 / (neurons + 1)), neurons)
    return {
        "adapt": np.eye(features, dtype=np.float32),
        "shift": np.zeros(features, np.float32),
        "hidden": hidden.astype(np.float32),
        "offset": np.zeros(neurons, np.float32),
        "gain": np.ones(neurons, np.float32),
        "bias": np.zeros(neurons, np.float32),
        "out": out.astype(np.float32),
    }


def standardised(layers: Mapping[str, np.ndarray], mean: np.ndarray, spread: np.ndarray) -> Arrays:
    """A head of features -> the same of features less their public mean, over their spread."""
    adapt = layers["adapt"] * spread
    return {**layers, "adapt": adapt, "shift": layers["shift"] + layers["adapt"] @ mean}


def in_features(layers: Mapping[str, np.ndarray], mean: np.ndarray, spread: np.ndarray) -> Arrays:
    """The inverse of `standardised`."""
    adapt = layers["adapt"] / spread
    found = {**layers, "adapt": adapt, "shift": layers["shift"] - adapt @ mean}
    return {name: array.astype(np.float32) for name, array in found.items()}


def spread_of(public: Public) -> np.ndarray:
    """(D,): how far each feature of public patches is from its mean."""
    axes = public.axes.astype(np.float64)
    between = (public.centres @ axes.T).var(0)
    inside = public.radius**2 / public.size * (axes**2).sum(1)
    return np.sqrt(between + inside)


def public_widths(public: Public) -> dict[str, np.ndarray | float]:
    """How far layers of features move at most where those in public units move by 1."""
    spread = spread_of(public)
    return {"adapt": 1 / spread, "shift": 1 + float((np.abs(public.mean) / spread).sum())}
