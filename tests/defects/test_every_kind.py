"""Every kind of synthetic defect, found by its file name, keeps the same promises."""

import numpy as np
import pytest

from fedad.defects.base import MOST, SEEN, draw, kinds
from fedad.plugins import plugin

SIZES = [(64, 64), (90, 250), (300, 40)]


def part(size, seed=0):
    """A part of stripes and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    stripes = 60 + 120 * ((x + 2 * y) // 9 % 2)
    return np.clip(stripes[..., None] + rng.normal(0, 5, (*size, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", kinds())
def test_nothing_changes_outside_the_mask_and_something_does_inside(kind, size):
    image, other = part(size), part((70, 80), seed=1)
    before = image.copy()
    for seed in range(20):
        made, mask = plugin("defects", kind)(image, other, rng=np.random.default_rng(seed))
        assert (made.shape, made.dtype) == (image.shape, np.uint8)
        assert (mask.shape, mask.dtype) == (size, np.bool_)
        np.testing.assert_array_equal(made[~mask], image[~mask])
        np.testing.assert_array_equal(image, before)
        assert mask.mean() <= 2 * MOST


@pytest.mark.parametrize("kind", kinds())
def test_the_same_seed_draws_the_same_and_another_seed_another(kind):
    image, other = part((120, 100)), part((120, 100), seed=1)
    one, again, another = (
        draw(image, other, kind, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.mask, again.mask)
    assert (one.mask != another.mask).any()
    assert one.kind == kind


@pytest.mark.parametrize("kind", kinds())
def test_a_drawn_defect_can_be_seen(kind):
    """Half of this part is a flat background, on which a piece of background would be no defect."""
    image, other = part((120, 100)), part((120, 100), seed=1)
    image[:, :50], other[:, :50] = 128, 128
    for seed in range(20):
        made = draw(image, other, kind, rng=np.random.default_rng(seed))
        off = np.abs(made.image[made.mask].astype(float) - image[made.mask])
        assert off.mean() >= SEEN


def test_an_image_in_which_nothing_can_be_seen_gets_a_defect_all_the_same():
    image = np.zeros((40, 40, 3), np.uint8)
    made = draw(image, image, "cut_paste", rng=np.random.default_rng(0))
    assert made.mask.any()
    np.testing.assert_array_equal(made.image, image)
