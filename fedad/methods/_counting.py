"""What a site counts in the round before that of banks: see `_evidence.py` for what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fedad.averaging.counted import of_features
from fedad.config import Config
from fedad.methods._evidence import Evidence
from fedad.methods._presets import CANDIDATES, Preset
from fedad.types import Features

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.in_parts import InParts


def counted(
    features: Features | InParts,
    *,
    preset: Preset,
    config: Config,
    rng: np.random.Generator,
    device: str,
) -> Evidence:
    """What `auto` asks of a site, of each product with enough good images."""
    from fedad.methods import _trial

    least = preset.knobs.least_images
    about: dict[str, Any] = of_features(features, least=least)
    found = []
    for name in about["categories"]:
        images = [k for k, category in enumerate(features.categories) if category == name]
        found.append(
            _trial.counts(features, images, CANDIDATES, config, least=least, rng=rng, device=device)
        )
    return Evidence(**about, **_trial.columns(found, len(CANDIDATES)))
