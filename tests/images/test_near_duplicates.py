"""Second shots of a part are found by features and by thumbnails, and different parts are not."""

import numpy as np
import pytest
from PIL import Image

from fedad.images.near_duplicates import (
    SHOTS,
    groups_by_features,
    groups_by_thumbnail,
    near_pairs,
    thumbnail,
)

PARTS = 40


def grids(scale: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """Features (B, 8, 8, 6) of different parts, any two as far apart as any others."""
    made = np.random.default_rng(3).normal(size=(PARTS, 8, 8, 6))
    return (scale * made + offset).astype(np.float32)


def shot_again(parts: np.ndarray, numbers, noise: float = 0.2) -> np.ndarray:
    again = np.random.default_rng(4).normal(scale=noise * parts.std(), size=parts.shape)
    return np.concatenate([parts, (parts + again)[numbers]]).astype(np.float32)


def test_different_parts_are_groups_of_their_own():
    assert groups_by_features(grids()).tolist() == list(range(PARTS))


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1e-3, 0), (1e4, 0), (1, 50)])
def test_second_shots_join_their_part_whatever_the_unit(scale, offset):
    found = groups_by_features(shot_again(grids(scale, offset), [7, 3, 39]))
    assert found.tolist() == [*range(PARTS), 7, 3, 39]


def test_as_many_shots_as_are_promised():
    found = groups_by_features(shot_again(grids(), [5] * (SHOTS - 1)))
    assert set(found[PARTS:]) == {5}
    assert len(set(found)) == PARTS


def test_identical_images_are_one_group_even_if_all_are():
    one = grids()[:1]
    assert groups_by_features(np.repeat(one, 5, axis=0)).tolist() == [0] * 5


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_images_are_no_near_duplicates(count):
    assert groups_by_features(grids()[:count]).tolist() == list(range(count))
    small = np.random.default_rng(1).integers(0, 4080, (count, 16, 16)).astype(np.uint16)
    assert groups_by_thumbnail(small).tolist() == list(range(count))


def test_blocks_change_nothing(monkeypatch):
    vectors = shot_again(grids(), [7, 3]).reshape(PARTS + 2, -1)
    whole = near_pairs(vectors, 0.5)
    monkeypatch.setattr("fedad.images.near_duplicates.BLOCK", 3 * len(vectors))
    assert near_pairs(vectors, 0.5) == whole == [(3, PARTS + 1), (7, PARTS)]


def test_the_order_of_images_changes_no_group():
    parts = shot_again(grids(), [7, 3, 7])
    order = np.random.default_rng(0).permutation(len(parts))
    one, other = groups_by_features(parts), groups_by_features(parts[order])
    together = one[order][:, None] == one[order]
    np.testing.assert_array_equal(together, other[:, None] == other)


def part(seed: int) -> Image.Image:
    """A plate with a few marks of its own, under one lamp."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :128]
    light = 120 + 60 * np.exp(-(((x - 60) / 50) ** 2) - ((y - 40) / 40) ** 2)
    marks = np.stack([rng.integers(0, 96, 9), rng.integers(0, 128, 9), rng.normal(0, 40, 9)], 1)
    for cy, cx, much in marks:
        light = light + much * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / 90))
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).convert("RGB")


def again(image: Image.Image, seed: int) -> Image.Image:
    """A second shot: a pixel beside, 2 % brighter, with noise."""
    light = np.roll(np.asarray(image).astype(float), 1, axis=seed % 2) * 1.02
    noisy = light + np.random.default_rng(seed).normal(0, 1.5, light.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def test_thumbnails_find_second_shots_and_no_other_parts():
    parts = [part(seed) for seed in range(PARTS)]
    shots = [again(parts[k], k) for k in range(0, PARTS, 4)]
    found = groups_by_thumbnail(np.stack([thumbnail(image) for image in [*parts, *shots]]))
    assert found.tolist() == [*range(PARTS), *range(0, PARTS, 4)]


def test_a_thumbnail_has_one_size_and_more_than_256_levels():
    made = thumbnail(part(1).resize((333, 77)))
    assert (made.shape, made.dtype) == ((16, 16), np.uint16)
    assert len(np.unique(made)) > 100
    assert made.max() > 255
