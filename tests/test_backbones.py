"""Networks by their short names: real models of timm with random weights, tiny images."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from fedad.commands.bank_info import info_table
from fedad.config import read
from fedad.embedders.backbone import build, grid_of, has_tokens
from fedad.errors import ConfigError
from fedad.messages.file import save
from fedad.plumbing.backbones import BACKBONES, licence_of
from tests.conftest import MARK, bank_of

# Name -> side of a tiny image, its grid, and features a patch with the layers of the table.
TINY = {
    "lite0": (64, 8, 152),
    "wide-resnet-50": (64, 8, 1536),
    "dinov2-s14": (56, 4, 384),
    "dinov3-s16": (64, 4, 384),
    "dinov3-convnext-t": (64, 8, 576),
}


def knobs_of(name, **more):
    size = TINY[name][0]
    settings = {"embedder.backbone": name, "embedder.weights": "random", "embedder.batch": 1}
    return read({**settings, "embedder.size": size, "embedder.cache": "off", **more}).embedder


def pixels(size, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (1, size, size, 3)).astype(np.uint8)


def test_every_name_is_tested():
    assert {*TINY} == {*BACKBONES}


@pytest.mark.parametrize("name", TINY)
def test_a_short_name_gives_the_features_of_its_layers(name):
    knobs, (size, side, features) = knobs_of(name), TINY[name]
    backbone = build(knobs)
    grid = backbone(pixels(size))
    assert grid.shape == (1, side, side, features) == (1, *grid_of(knobs))
    assert np.isfinite(grid).all()
    assert grid.std() > 0
    assert backbone.fingerprint.backbone == BACKBONES[name].model
    assert backbone.fingerprint.layers == BACKBONES[name].layers


@pytest.mark.parametrize("name", TINY)
def test_the_table_says_what_timm_says(name):
    known = BACKBONES[name]
    told = timm.get_pretrained_cfg(known.model)
    assert told.license == known.licence == licence_of(known.model)
    with torch.device("meta"):
        model = timm.create_model(known.model)
    assert has_tokens(model) == (known.patch > 1)
    if known.patch > 1:
        assert model.patch_embed.patch_size == (known.patch, known.patch)


def test_a_licence_that_is_not_known_is_not_made_up():
    assert licence_of("resnet18.tv_in1k") == ""


@pytest.mark.parametrize("name", ["dinov2-s14", "dinov3-s16"])
def test_patches_are_the_normalised_tokens_without_prefix(name):
    """By the model's own features, of which the first ones are class and registers."""
    knobs, (size, side, features) = knobs_of(name), TINY[name]
    backbone = build(replace(knobs, pool=1))
    with torch.inference_mode():
        x = torch.from_numpy(pixels(size)).permute(0, 3, 1, 2).float() / 255
        x = (x - backbone.mean) / backbone.std
        tokens = backbone.model.forward_features(x)
    prefix = backbone.model.num_prefix_tokens
    assert tokens.shape == (1, prefix + side * side, features)
    expected = tokens[0, prefix:].reshape(side, side, features)
    np.testing.assert_allclose(backbone(pixels(size))[0], expected, atol=1e-4)
    assert "normalised tokens" in backbone.fingerprint.transform


def test_several_blocks_are_joined():
    more = {"embedder.layers": "layer7,layer11", "embedder.grid": "layer11"}
    knobs = knobs_of("dinov2-s14", **more)
    backbone = build(knobs)
    assert (backbone.levels, grid_of(knobs)) == ((7, 11), (4, 4, 768))
    assert backbone(pixels(56)).shape == (1, 4, 4, 768)


@pytest.mark.parametrize(
    ("layers", "features"),
    [
        ("layer1", 24),
        ("layer2", 40),
        ("layer3", 112),
        ("layer4", 320),
        ("layer1,layer2,layer3", 176),
        ("layer1,layer2,layer3,layer4", 496),
    ],
)
def test_layers_1_to_4_of_a_convolutional_network(layers, features):
    grid = layers.partition(",")[0]
    knobs = knobs_of("lite0", **{"embedder.layers": layers, "embedder.grid": grid})
    side = {"layer1": 16, "layer2": 8, "layer3": 4, "layer4": 2}[grid]
    assert build(knobs)(pixels(64)).shape == (1, side, side, features) == (1, *grid_of(knobs))


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        (
            "dinov2-s14",
            {"embedder.size": 256},
            "embedder.size or .tile: 256 x 256 pixels are no whole number of patches of "
            "vit_small_patch14_dinov2.lvd142m, 14 pixels wide: expected multiples of 14, such as "
            "252 or 266",
        ),
        ("dinov3-s16", {"embedder.size": "320x200"}, "multiples of 16, such as 192 or 208"),
        (
            "dinov2-s14",
            {"embedder.size": 448, "embedder.tile": 64, "embedder.overlap": 32},
            "embedder.size or .tile: 64 x 64 pixels",
        ),
    ],
)
def test_an_image_that_is_no_whole_number_of_patches_is_refused(name, more, says):
    for ask in (build, grid_of):
        with pytest.raises(ConfigError) as refused:
            ask(knobs_of(name, **more))
        assert says in str(refused.value)


def test_a_name_is_written_out_and_layers_that_are_set_stay():
    known = BACKBONES["dinov3-convnext-t"]
    config = read({"embedder.backbone": "dinov3-convnext-t"})
    assert (config.embedder.backbone, config.embedder.grid) == (known.model, known.grid)
    assert read(config.flat()) == config
    set_ = read({"embedder.backbone": "dinov3-s16", "embedder.layers": "layer5"}).embedder
    assert (set_.layers, set_.grid) == ("layer5", "layer2")
    plain = read({"embedder.backbone": known.model}).embedder
    assert plain.layers == "layer2,layer3"


def test_a_misspelt_name_is_answered_with_the_right_one():
    with pytest.raises(ConfigError, match="did you mean 'dinov2-s14'"):
        grid_of(replace(knobs_of("lite0"), backbone="dinov2-s41"))


def test_a_banks_backbone_is_shown_with_its_licence(tmp_path):
    for backbone, told in (
        (BACKBONES["dinov3-s16"].model, "dinov3-license"),
        ("resnet18.tv_in1k", ""),
    ):
        mark = type(MARK)(**{**vars(MARK), "backbone": backbone})
        save(tmp_path / "bank.safetensors", bank_of([[1.0, 2.0]]).replace(fingerprint=mark))
        shown = info_table(tmp_path / "bank.safetensors")
        cells = [str(cell) for column in shown.columns for cell in column.cells]
        assert ("licence of the backbone" in cells) == bool(told)
        assert not told or told in cells
