"""What a site counts in the round before that of banks: see `_evidence.py` for what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.averaging.counted import of_features
from fedad.config import Config
from fedad.methods._evidence import Evidence, Spread
from fedad.methods._presets import CANDIDATES, Preset
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


def counted(
    features: Features | InParts,
    patches: Mapping[str, np.ndarray],
    *,
    preset: Preset,
    config: Config,
    rng: np.random.Generator,
    device: str,
) -> Spread:
    """What `preset` asks of a site, of each product with enough good images.

    Args:
        patches: the numbers of each category's valid patches.
    """
    from fedad.methods import _trial

    least, blends = preset.knobs.least_images, preset.blends
    about: dict[str, Any] = of_features(features, least=least)
    names = about["categories"]
    squares = [_trial.spread(features, name, patches[name], blends) for name in names]
    about |= {
        "patches": np.array([len(patches[name]) for name in names], np.int64),
        "squares": np.array(squares, np.float64).reshape(-1, len(blends)),
    }
    if preset.asks is Spread:
        return Spread(**about)
    found = []
    for name in names:
        images = [k for k, category in enumerate(features.categories) if category == name]
        found.append(
            _trial.counts(features, images, CANDIDATES, config, least=least, rng=rng, device=device)
        )
    return Evidence(**about, **_trial.columns(found, len(CANDIDATES)))
