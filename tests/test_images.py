import json

import numpy as np
import pytest
from PIL import Image

from fedad.datasets.autovi import autovi
from fedad.errors import DataError
from fedad.images.pixels import image_size, read_image, read_region
from fedad.types import Channel, Saturation
from tests.conftest import draw_category, save

LEVELS = {200: Saturation(0.5, relative=True)}


def test_sixteen_bits_do_not_turn_white(tmp_path):
    deep = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    pixels = np.asarray(read_image(tmp_path / "deep.png"))
    np.testing.assert_array_equal(pixels[..., 0], deep >> 8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_images_of_any_mode_are_read_as_rgb(tmp_path, mode):
    Image.new("RGB", (7, 5), (255, 255, 255)).convert(mode).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    assert (image.mode, image.size) == ("RGB", (7, 5))
    assert image_size(tmp_path / "x.png") == (5, 7)
    assert np.asarray(image).min() >= 240


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_masks_are_read_from_l_rgb_and_rgba(tmp_path, shape):
    pixels = np.zeros(shape, np.uint8)
    pixels[1:3, 2:6] = 200
    save(tmp_path / "m.png", pixels)
    region = read_region(Channel(tmp_path / "m.png", LEVELS), (5, 7))
    assert (int(region.mask.sum()), region.saturation) == (8, 4)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((), "no pixel of the mask is marked"),
        ((200, 100), r"has \[100, 200\]"),
        ((90,), "value 90 is no pixel_value"),
    ],
)
def test_a_mask_that_means_nothing_is_named(tmp_path, values, says):
    pixels = np.zeros((5, 7), np.uint8)
    for place, value in enumerate(values):
        pixels[place] = value
    save(tmp_path / "m.png", pixels)
    with pytest.raises(DataError, match=f"m.png.*{says}"):
        read_region(Channel(tmp_path / "m.png", LEVELS), (5, 7))


def test_the_doubled_folder_that_unzipping_leaves_is_read(tmp_path):
    draw_category(tmp_path / "bolt" / "bolt", "bolt")
    found = autovi(tmp_path)
    assert found.categories == ("bolt",)
    assert len(found.samples) == 18


def test_every_png_of_a_mask_folder_is_a_channel(tmp_path):
    draw_category(tmp_path / "bolt", "bolt")
    truth = tmp_path / "bolt" / "ground_truth" / "blot" / "0000"
    save(truth / "0001.png", np.full((60, 72, 4), 255, np.uint8))
    (sample,) = (s for s in autovi(tmp_path).samples if s.name == "bolt/test/blot/0000")
    assert [channel.path.name for channel in sample.masks] == ["0000.png", "0001.png"]


def test_a_defect_without_a_mask_is_counted_and_said(tmp_path):
    draw_category(tmp_path / "bolt", "bolt")
    (tmp_path / "bolt" / "ground_truth" / "blot" / "0000" / "0000.png").unlink()
    found = autovi(tmp_path)
    assert found.warnings == ("bolt: 1 defective images have no mask",)
    assert sum(sample.masks is None for sample in found.samples) == 1


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[1, 2]", "expected a list of objects"),
        ("[{}]", "pixel_value"),
        ("{", "defects_config.json: expected a list"),
        (
            json.dumps(
                [{"pixel_value": 1, "saturation_threshold": 1.5, "relative_saturation": True}]
            ),
            "saturation_threshold = 1.5",
        ),
    ],
)
def test_a_broken_defects_config_is_named(tmp_path, config, says):
    draw_category(tmp_path / "bolt", "bolt")
    (tmp_path / "bolt" / "defects_config.json").write_text(config)
    with pytest.raises(DataError, match=says):
        autovi(tmp_path)


def test_an_unknown_category_is_answered_with_the_nearest(plants):
    with pytest.raises(DataError, match=r"no category 'blot' \(did you mean 'bolt'\?\)"):
        autovi(plants, categories=["blot"])
