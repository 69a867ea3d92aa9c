"""The parts of the attack by decoders, on drawn numbers."""

import io

import numpy as np
import pytest
from PIL import Image

from fedad.embedders.embedder import Embedder
from fedad.leakage.crops import CROP, Pairs, crops_of
from fedad.leakage.inversion import best_of, inverted
from fedad.leakage.owners import owners
from fedad.leakage.side_by_side import side_by_side
from fedad.leakage.ssim import C1, C2, RADIUS, SIGMA, ssim
from fedad.types import Sample
from tests.conftest import save


def slow_ssim(a, b):
    """One window after the other, as the paper writes it."""
    away = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-(away[:, None] ** 2 + away[None] ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()
    found = []
    for colour in range(3):
        for y in range(RADIUS, len(a) - RADIUS):
            for x in range(RADIUS, len(a[0]) - RADIUS):
                at = (slice(y - RADIUS, y + RADIUS + 1), slice(x - RADIUS, x + RADIUS + 1), colour)
                p, q = a[at], b[at]
                mp, mq = (weights * p).sum(), (weights * q).sum()
                vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
                both = (weights * (p - mp) * (q - mq)).sum()
                light = (2 * mp * mq + C1) / (mp**2 + mq**2 + C1)
                found.append(light * (2 * both + C2) / (vp + vq + C2))
    return np.mean(found)


def test_ssim_is_the_papers():
    a, b = np.random.default_rng(0).random((2, 14, 15, 3))
    assert ssim(a[None], b[None]) == pytest.approx(slow_ssim(a, b), abs=1e-9)
    assert ssim(a[None], a[None]) == pytest.approx(1)


def test_a_crop_is_centred_at_its_patch(config, tmp_path):
    """Of an image of the network's own size; beyond an edge its last pixels are repeated."""
    side = config.embedder.size
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    save(tmp_path / "part.png", pixels)
    sample = Sample("bolt", "train", "good", tmp_path / "part.png")
    embed = Embedder(config.embedder)
    h, w = embed.shape[:2]
    y, x = h // 2, w // 2 - 1
    crops = crops_of(embed, [sample], (1, h, w, 1), np.array([0, y * w + x]))
    crops = (crops.reshape(-1, CROP, CROP, 3) * 255).round().astype(np.uint8)
    top, left = int((y + 0.5) * side / h) - CROP // 2, int((x + 0.5) * side / w) - CROP // 2
    np.testing.assert_array_equal(crops[1], pixels[top : top + CROP, left : left + CROP])
    assert (crops[0, 0, 0] == pixels[0, 0]).all()


def test_the_owner_is_the_nearest_patch_of_all_images():
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(9, 4)).astype(np.float32) for _ in range(5)]
    numbers = np.arange(9) + 100  # in the image, where some patches do not count
    rows = np.stack([images[3][2], images[0][8], images[3][2] + np.float32(1e-4)])
    found = owners(rows, ((patches, numbers) for patches in images), 5)
    assert found.image.tolist() == [3, 0, 3]
    assert found.patch.tolist() == [102, 108, 102]
    assert found.distance[:2].tolist() == [0, 0]


@pytest.fixture(scope="module")
def pairs():
    """Crops that are a linear function of few features, public and private."""
    rng = np.random.default_rng(0)
    axes = 0.05 * rng.normal(size=(8, CROP * CROP * 3))
    rows = rng.normal(size=(600, 8)).astype(np.float32)
    crops = (0.5 + rows @ axes).clip(0, 1).astype(np.float32)
    return Pairs(rows[:100], crops[:100]), Pairs(rows[100:], crops[100:])


def test_decoders_draw_what_features_say_and_nothing_of_features_that_say_nothing(pairs):
    private, public = pairs
    best = best_of(inverted(private, public))
    assert best.scores.gain > 10
    assert best.ssim > 0.9 > best.base_ssim
    shuffled = public._replace(rows=public.rows[::-1].copy())
    assert best_of(inverted(private, shuffled)).scores.gain < 1


def test_inversion_is_the_same_at_every_call_and_leaves_the_generator_alone(pairs):
    import torch

    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, other = ([way.drawn for way in inverted(*pairs)] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_pictures_side_by_side(pairs):
    crops = pairs[0].crops
    with Image.open(io.BytesIO(side_by_side(crops, crops * 0.5))) as sheet:
        assert sheet.format == "PNG"
        assert len(sheet.getcolors(2**20)) > 100
    with Image.open(io.BytesIO(side_by_side(crops[:1], crops[:1]))) as sheet:
        assert min(sheet.size) > CROP
