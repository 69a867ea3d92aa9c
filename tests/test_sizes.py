"""Images at several sizes, joined: `embedder.also`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from fedad.config import read
from fedad.datasets.autovi import autovi
from fedad.datasets.base import open_dataset
from fedad.embedders.backbone import build, grid_of
from fedad.embedders.box import knobs_named, name_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.handshake import compare, probe
from fedad.embedders.patch_count import patches_of
from fedad.errors import ConfigError
from fedad.partition import partition
from fedad.permits.settings import beyond
from fedad.policy import Policy
from fedad.round import learn
from server_app.kept import Kept
from tests.contracts.test_apps import run
from tests.contracts.test_methods import same


@pytest.fixture(scope="module")
def samples(plants):
    return autovi(plants).samples[:5]


@pytest.fixture
def tiny(config, tmp_path):
    return replace(config.embedder, cache=str(tmp_path / "features"))


def test_each_size_has_an_equal_share_on_the_grid_of_the_first(tiny, samples):
    several = Embedder(replace(tiny, also="96,48x32"))
    made, (h, w, d) = several(samples), grid_of(tiny)
    assert made.shape == (h, w, 3 * d) == grid_of(several.knobs)
    for number, size in enumerate((tiny.size, 96, "48x32")):
        alone = Embedder(replace(tiny, size=size))(samples).grid
        maps = torch.from_numpy(alone).permute(0, 3, 1, 2)
        there = functional.interpolate(maps, size=(h, w), mode="bilinear").permute(0, 2, 3, 1)
        share = made.grid[..., number * d : (number + 1) * d]
        np.testing.assert_allclose(share * np.sqrt(3), there.numpy(), rtol=1e-5, atol=1e-6)


def test_the_same_image_gives_the_same_bytes_in_any_batch_and_from_the_cache(tiny, samples):
    embed = Embedder(replace(tiny, also="96x64", batch=2))
    whole = embed(samples).grid
    np.testing.assert_array_equal(whole, embed(samples).grid)
    alone = Embedder(replace(embed.knobs, cache="off"))(samples[3:4]).grid
    np.testing.assert_array_equal(whole[3:4], alone)


def test_none_is_as_before(tiny, samples):
    """Neither name, nor place in the cache, nor fingerprint says anything of it."""
    mark = build(tiny).fingerprint
    assert mark.size == tiny.size
    assert "also" not in vars(mark)
    assert Embedder(tiny).cache.folder(mark) == Embedder(replace(tiny, also="")).cache.folder(mark)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize(("size", "also"), [(64, "96"), ("96x64", "192x128"), (64, "96,128")])
def test_a_fingerprint_names_the_sizes(tiny, size, also, fit):
    knobs = replace(tiny, size=size, also=also, fit=fit)
    assert replace(tiny, **knobs_named(name_of(knobs))) == knobs
    assert name_of(knobs) != name_of(replace(knobs, also=""))


def test_the_handshake_tells_sites_of_other_sizes_apart(tiny):
    one, other = (probe(Embedder(replace(tiny, also=also))) for also in ("96", "128"))
    assert compare({"a": one, "b": one, "c": one}).refused == {}
    assert [*compare({"a": one, "b": one, "c": other}).refused] == ["c"]


def test_padding_is_left_out_where_the_first_size_has_it(tiny, samples):
    knobs = replace(tiny, size=f"{2 * tiny.size}x{tiny.size}", fit="pad")
    plain, several = (Embedder(replace(knobs, also=also)) for also in ("", "64x32"))
    assert not plain(samples).valid.all()
    np.testing.assert_array_equal(plain(samples).valid, several(samples).valid)


def test_a_policy_bounds_the_largest_of_all_sizes(config):
    several = replace(config, embedder=replace(config.embedder, also="48,300x64"))
    told = dict(beyond(Policy(largest_size=256), several, lambda: patches_of(several)))
    assert "embedder.also" in told["largest-size"]
    assert patches_of(several) == patches_of(config)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"embedder.also": "96", "embedder.tile": 256}, "in tiles are embedded at one size"),
        ({"embedder.also": "96", "embedder.size": 96}, "other sizes than embedder.size = 96"),
        ({"embedder.also": "96,96"}, "expected each size once"),
        ({"embedder.also": "384x"}, "expected a number, or width x height"),
        ({"embedder.also": "16"}, "greater than or equal to 32"),
        ({"embedder.also": "64,96,128,160,192"}, "at most 4"),
        ({"embedder.also": "96x64", "embedder.fit": "pad"}, "other proportions"),
    ],
)
def test_sizes_that_cannot_be_joined_are_refused(given, says):
    with pytest.raises(ConfigError, match=says) as refused:
        read(given)
    assert "embedder.also" in str(refused.value)


def test_they_are_read_as_they_are_kept():
    assert read({"embedder.also": " 96 ,512x512"}).embedder.also == "96,512"
    assert read({"embedder.also": 96}).embedder.also == "96"
    assert read({"embedder.also": "512x384", "embedder.size": "256x192", "embedder.fit": "pad"})


@pytest.mark.usefixtures("in_a_run")
def test_a_run_is_the_same_in_any_order_of_sites_and_through_the_apps(knobs, tmp_path):
    settings = {**knobs, "embedder.also": "96", "round.out": str(tmp_path / "out")}
    config = read(settings)
    sites = partition(open_dataset(config.data), config.data, seed=0)
    embed = Embedder(config.embedder)
    one, other = (learn(config, some, embed).model for some in (sites, sites[::-1]))
    same(one, other)
    same(run(settings, Kept.begin(tmp_path / "server", config)).model, one)
    side = config.embedder.size
    assert one.fingerprint.size == f"{side}x{side}, joined with 96"
