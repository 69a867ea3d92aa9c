"""Who holds an upload and an image can tell whether it was learned from, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.messages.coded import rounded
from fedad.partition import partition
from fedad.round import fit
from tests.conftest import draw_category

IMAGES = 30


@pytest.fixture(scope="module")
def plant(knobs, tmp_path_factory):
    """One site with twice as many good images as it learns from."""
    root = tmp_path_factory.mktemp("members")
    draw_category(root / "bolt", "bolt", train=2 * IMAGES - 20)  # names of two sites meet
    (root / "bolt" / "sites.csv").unlink()
    one = {"data.dir": str(root), "data.partition": "iid", "data.sites": 1}
    plain = {"coreset.local-ratio": 0.1, "patchcore.preset": "classic"}
    config = read({**knobs, **one, **plain})
    (site,) = partition(open_dataset(config.data), config.data, seed=0)
    assert len(site.train) == 2 * IMAGES
    return config, replace(site, train=site.train[:IMAGES]), site.train[IMAGES:]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_every_image_that_was_learned_from_is_recognised_and_no_other(plant, dtype):
    config, site, others = plant
    config = replace(config, wire=replace(config.wire, dtype=dtype))
    embed = Embedder(config.embedder)
    upload = fit(config, site, embed).upload
    rows = {row.tobytes() for row in upload.rows}

    def recognised(images: Sequence) -> int:
        grids = rounded(embed(images).grid, dtype)
        return sum(
            any(row.tobytes() in rows for row in grid.reshape(-1, grid.shape[-1])) for grid in grids
        )

    assert recognised(site.train) == IMAGES
    assert recognised(others) == 0
