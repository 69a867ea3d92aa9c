"""The arithmetic of the slides that the project was created from, on their own counts.

The feature values are random and few-dimensional; the counts are AutoVI's.
"""

import numpy as np
import pytest

from fedad.config import read
from fedad.embedders.backbone import grid_of
from fedad.methods.base import FIRST
from fedad.partition import partition
from fedad.plugins import plugin
from fedad.types import Dataset, Features, Sample
from tests.conftest import MARK

AUTOVI_TRAIN = {
    "engine_wiring": 285,
    "pipe_clip": 195,
    "pipe_staple": 191,
    "tank_screw": 318,
    "underbody_pipes": 161,
    "underbody_screw": 373,
}
CONFIG = {
    "coreset.local-ratio": 0.1,
    "patchcore.preset": "classic",
    "bank.scope": "mixed",
    "bank.size": 10000,
    "coreset.selection": "uniform",  # the counts do not depend on which rows are kept
    "data.partition": "iid",
    "data.sites": 5,
    "embedder.backbone": "wide_resnet50_2.tv_in1k",
    "embedder.grid": "layer3",
    "embedder.size": 224,
}


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    root = tmp_path_factory.mktemp("autovi")
    samples = tuple(
        Sample(category, "train", "good", root / category / "train" / "good" / f"{k:04d}.png")
        for category, count in AUTOVI_TRAIN.items()
        for k in range(count)
    )
    return partition(Dataset("autovi", root, "", samples), read(CONFIG).data, seed=0)


def test_1523_images_are_dealt_to_five_sites(sites):
    assert [len(site.train) for site in sites] == [305, 305, 305, 304, 304]
    for site in sites:
        categories = [sample.category for sample in site.train]
        for category, count in AUTOVI_TRAIN.items():
            assert abs(categories.count(category) - count / 5) < 1


def test_an_image_is_196_patches_of_1536_features_on_the_grid_of_layer_3():
    assert grid_of(read(CONFIG).embedder) == (14, 14, 1536)


@pytest.mark.parametrize("selection", ["uniform", "kcenter"])
def test_298508_patches_become_29850_rows_and_10000(sites, selection):
    config = read({**CONFIG, "coreset.selection": selection})
    method = plugin("methods", "patchcore").of(config, device="cpu")
    uploads, patches = [], []
    for site in sites:
        rng = np.random.default_rng([*site.name.encode()])
        grid = rng.normal(size=(len(site.train), 14, 14, 3)).astype(np.float32)
        names = tuple(sample.name for sample in site.train)
        categories = tuple(sample.category for sample in site.train)
        features = Features(grid, categories, names, MARK)
        patches.append(len(features.patches))
        uploads.append(method.fit(features, FIRST, rng=rng).sealed(site.name, "float32"))
    bank = method.merge(uploads, FIRST, rng=np.random.default_rng(0))
    assert patches == [59780, 59780, 59780, 59584, 59584]
    assert [len(upload) for upload in uploads] == [5978, 5978, 5978, 5958, 5958]
    assert (sum(patches), sum(map(len, uploads)), len(bank)) == (298508, 29850, 10000)
    weights = bank.images.sum(axis=1) / bank.images.sum()
    np.testing.assert_allclose(weights, 0.2, atol=5e-4)
