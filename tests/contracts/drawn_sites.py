"""Features of drawn sites, so that a method's laws are tested without a network or an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedad.config import Config, read
from fedad.plugins import names
from fedad.types import Features, Sample, Site
from tests.conftest import MARK

D = 6
# What makes a method's laws quick to test; one that is not here is tested with its defaults.
QUICK = {
    "discriminator": {"rounds": 3, "epochs": 2, "hidden": 8, "batch": 64, "rate": 0.01},
    "experts": {"adapt": "off", "calibrate": "quantile", "held": 2, "separation": 0.6},
    "ensemble": {"members": "patchcore", "combine": "rank", "least-images": 1, "dimensions": 4},
    "feddymem": {"rounds": 2, "rows": 24, "batch": 256, "dimensions": 16, "passes": 1},
    "gaussian": {"least-images": 2, "block": 2, "dimensions": 4},
    "reconpatch": {"rounds": 1, "steps": 4, "batch": 32, "rate": 1e-3},
    "subspace": {"least-images": 2, "dimensions": 2},
}
# Presets that make another method of one, by that one's name and a word: they obey the same laws.
PRESETS = {
    "ensemble headed": {
        **QUICK["ensemble"],
        "members": "patchcore,discriminator",
        "head": "nearest",
        "combine": "mean",
        "extra": "both",
    },
    "experts projected": {**QUICK["experts"], "projection": 3, "projection-rounds": 1},
    "patchcore position": {"preset": "position", "least-images": 1},
    "patchcore smoothed": {"preset": "custom", "smoothed-maximum": 0.2},
}
ON_IMAGES = {  # those that draw into them, or turn them
    "ensemble weighted": {**QUICK["ensemble"], "combine": "weighted", "draws": 1},
    "ensemble selected": {
        **QUICK["ensemble"],
        "members": "patchcore,subspace",
        "combine": "selected",
        "draws": 1,
    },
    "patchcore auto": {"preset": "auto", "least-images": 1},
    "patchcore turned": {"preset": "custom", "turns": 4},
}
# Knobs of other plug-ins that a method works by.
BESIDE: dict[str, dict[str, object]] = {
    "ensemble": {
        **{f"discriminator.{k}": v for k, v in QUICK["discriminator"].items()},
        "discriminator.rounds": 1,
        "subspace.least-images": 1,
        "subspace.dimensions": 2,
    }
}


def cases(*, images: bool = False) -> list[str]:
    """Every method there is, and presets: where there are `images` the one that draws into them,
    which has a round before that of banks as the others may have."""
    return [*names("methods"), *(ON_IMAGES if images else PRESETS)]


def knobs_of(case: str, **more: object) -> dict[str, object]:
    """The run-config of a method or preset, with `more` knobs of its own."""
    method = case.partition(" ")[0]
    own = {**(PRESETS | ON_IMAGES).get(case, QUICK.get(method, {})), **more}
    named = {f"{method}.{knob}": value for knob, value in own.items()}
    return {"round.method": method, **BESIDE.get(method, {}), **named}


def config_of(name: str, **more: object) -> Config:
    """A configuration of the method or preset of this name, with `more` knobs of its own."""
    return read({"coreset.local-ratio": 0.5, "embedder.cache": "off", **knobs_of(name, **more)})


def site(name: str, *, count: int = 4, categories: Sequence[str] = ("bolt", "hose")) -> Site:
    """A site with so many good images of each category, and as many test images."""
    train = tuple(_sample(name, "train", c, k) for c in categories for k in range(count))
    test = tuple(_sample(name, "test", c, k) for c in categories for k in range(count))
    return Site(name, train, test)


def _sample(name: str, split: str, category: str, number: int) -> Sample:
    return Sample(category, split, "good", Path(f"/drawn/{name}-{number}.png"))


def embed(samples: Sequence[Sample]) -> Features:
    """Features (B, 4, 4, D) drawn from each sample's name: a centre a category, and noise."""
    grids = [_grid(sample.name, sample.category) for sample in samples]
    return Features(
        np.stack(grids),
        tuple(sample.category for sample in samples),
        tuple(sample.name for sample in samples),
        MARK_16,
    )


MARK_16 = type(MARK)(**{**vars(MARK), "patches": 16})


def _grid(name: str, category: str) -> np.ndarray:
    rng = np.random.default_rng([*name.encode()])
    centre = 3 * np.random.default_rng([*category.encode()]).normal(size=D)
    return (centre + rng.normal(size=(4, 4, D))).astype(np.float32)


def far(samples: Sequence[Sample]) -> Features:
    """The same images with a square of patches that no good image has."""
    features = embed(samples)
    grid = features.grid.copy()
    grid[:, 1:3, 1:3] += 20 * np.random.default_rng(7).normal(size=D).astype(np.float32)
    return Features(grid, features.categories, features.images, features.fingerprint)
