"""One small plant that was taught a product from a flat folder of pictures, and what it may do."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from fedad.config import read
from fedad.models.gate import Gate
from fedad.models.store import MODELS
from fedad.models.teaching import teach
from tests.conftest import save

ALL_IN = Gate(false_rejects=1.0, lost_defects=1.0)
RATE = 0.2  # six good parts can promise it


@pytest.fixture(scope="package")
def plain(knobs):
    """Knobs without a data set."""
    config = read({key: value for key, value in knobs.items() if not key.startswith("data.")})
    return replace(config, data=replace(config.data, dataset="auto"))


@pytest.fixture(scope="package")
def pictures(plants, tmp_path_factory):
    """Flat folders of six good pictures: of the bolt, of the hose, and of a variant of the bolt."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("bolt", "hose"):
        shutil.copytree(plants / name / "train" / "good", root / name)
    for k in range(6):
        rng = np.random.default_rng([7, k])
        stripes = 160 - 50 * (np.arange(72) // 6 % 2)
        pixels = np.repeat(stripes[None, :, None], 60, 0) + rng.normal(0, 4, (60, 72, 3))
        save(root / "long_bolt" / f"{k}.png", np.clip(pixels, 0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope="package")
def taught(plain, pictures, tmp_path_factory):
    """The first model of lyon, which knows the bolt."""
    folder = tmp_path_factory.mktemp("lyon") / MODELS
    added = teach(folder, pictures / "bolt", "bolt", RATE, ALL_IN, config=plain, site="lyon")
    assert added.is_current
    return folder


@pytest.fixture
def bolts(taught, tmp_path):
    """A copy of it."""
    return shutil.copytree(taught, tmp_path / MODELS, symlinks=True)
