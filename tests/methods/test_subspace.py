"""The federated components are the centralised ones, and a score is what they leave of a patch."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.averaging.moments import square, triangle
from fedad.errors import UploadError
from fedad.judging.admission import admit_upload
from fedad.methods.base import FIRST, method_of
from fedad.methods.subspace import count_of
from fedad.round import fit, learn
from fedad.types import Site
from fedad.yardsticks import ALL
from tests.contracts.drawn_sites import D, config_of, embed, far, site
from tests.contracts.test_methods import enrolled

SITES = [site("graz", count=7), site("lyon", count=5), site("turin", categories=("bolt",))]
WHOLE = Site(ALL, tuple(s for plant in SITES for s in plant.train), ())


@pytest.mark.parametrize("knobs", [{"dimensions": 3}, {"dimensions": 0, "share": 0.8}])
def test_federated_is_centralised_and_its_maps_to_1e_6(knobs):
    config = config_of("subspace", **knobs)
    one, other = (learn(config, sites, embed).model for sites in (SITES, [WHOLE]))
    np.testing.assert_array_equal(one.dimensions, other.dimensions)
    for name in ("mean", "axes", "usual"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.dtype == np.float64
        assert np.abs(mine - theirs).max() <= 1e-9 * np.abs(theirs).max()
    assert one.patches == other.patches
    method = method_of(config)
    for features in (embed(SITES[0].test), far(SITES[0].test)):
        maps = [method.score(model, features)[0] for model in (one, other)]
        assert np.abs(maps[0] - maps[1]).max() <= 1e-6 * maps[1].max()


@pytest.mark.parametrize("size", [1, 3])
def test_a_score_is_the_length_of_what_the_singular_vectors_leave(size):
    config = config_of("subspace", dimensions=size)
    model = learn(config, [SITES[0]], embed).model
    of_bolts = [s for s in SITES[0].train if s.category == "bolt"]
    test = [s for s in SITES[0].test if s.category == "bolt"]
    known, features = embed(of_bolts).patches.astype(float), embed(test)
    _, _, rows = np.linalg.svd(known - known.mean(0), full_matrices=False)
    off = features.patches - known.mean(0)
    left = off - off @ rows[:size].T @ rows[:size]
    maps, scores = method_of(config).score(model, features)
    np.testing.assert_allclose(maps.ravel(), np.linalg.norm(left, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(scores, maps.max((1, 2)))
    low, high = method_of(config).scale(model)["bolt"]
    assert low == 0
    own = known - known.mean(0)
    usual = np.sqrt(((own - own @ rows[:size].T @ rows[:size]) ** 2).sum(1).mean())
    assert high == pytest.approx(3 * usual)


def test_an_image_is_scored_by_the_mean_of_its_highest_patches():
    config = config_of("subspace", dimensions=2, tail=0.25)
    model = learn(config, [SITES[0]], embed).model
    maps, scores = method_of(config).score(model, embed(SITES[0].test))
    four = np.sort(maps.reshape(len(maps), -1))[:, -4:]
    np.testing.assert_allclose(scores, four.mean(1), rtol=1e-6)


def test_as_many_components_as_the_share_of_the_variance_takes():
    variances = np.array([4.0, 3, 2, 1])
    assert [count_of(variances, share) for share in (0.1, 0.4, 0.41, 0.7, 0.9, 0.99)] == [
        1,
        1,
        2,
        2,
        3,
        4,
    ]
    assert count_of(np.zeros(4), 0.99) == 0
    method = method_of(config_of("subspace", dimensions=0, share=0.5))
    model = learn(method.config, SITES, embed).model
    told = method.describe(model)["dimensions"]
    assert set(told) == {"bolt", "hose"}
    assert all(1 <= some < D for some in told.values())
    assert model.axes.shape[2] == max(told.values())


def test_products_of_other_dimensions_share_one_array():
    """A product whose patches lie on a line has one component, beside one that has all."""
    method = method_of(config_of("subspace", dimensions=0, share=0.999))
    line = np.outer(np.arange(16.0), np.ones(D)).astype(np.float32).reshape(1, 4, 4, D)

    def lined(samples):
        features = embed(samples)
        flat = np.array([s.category == "bolt" for s in samples])
        features.grid[flat] = line
        return features

    model = learn(method.config, [SITES[0]], lined).model
    assert model.dimensions.tolist() == [1, D]
    assert not model.axes[0, :, 1:].any()
    bolts = [s for s in SITES[0].test if s.category == "bolt"]
    assert method.score(model, lined(bolts))[0].max() < 1e-5


def sums_of(config):
    return fit(config, SITES[0], embed).upload


def test_moments_travel_as_float64_and_are_kilobytes():
    config = config_of("subspace")
    half = replace(config, wire=replace(config.wire, dtype="float16"))
    for some in (config, half):
        tensors, _ = sums_of(some).pack()
        assert tensors["sums"].dtype == tensors["products"].dtype == np.float64
        assert sum(t.nbytes for t in tensors.values()) == 2 * 8 * (1 + 1 + D + D * (D + 1) // 2)


def _negative(upload):
    """A matrix whose smallest variance is as far below 0 as its largest is above."""
    matrix = square(upload.products[0, 0])
    values, vectors = np.linalg.eigh(matrix)
    values[0] = -values[-1] / 2
    changed = upload.products.copy()
    changed[0, 0] = triangle(vectors * values @ vectors.T)
    return upload.replace(products=changed)


HOSTILE = {
    "a variance below 0": (_negative, "counts"),
    "more patches than its images have": (lambda u: u.replace(count=u.count * 2), "counts"),
    "of no patch": (lambda u: u.replace(count=u.count * 0), "counts"),
    "far too long": (
        lambda u: u.replace(sums=u.sums * 100, products=u.products * 1e4),
        "norm",
    ),
    "far too short": (
        lambda u: u.replace(sums=u.sums * 1e-7, products=u.products * 1e-14),
        "norm",
    ),
    "of other features": (lambda u: u.replace(features=D + 1), "shape"),
    "of several cells": (
        lambda u: u.replace(
            count=np.repeat(u.count // 2, 2, 1),
            sums=np.repeat(u.sums / 2, 2, 1),
            products=np.repeat(u.products / 2, 2, 1),
        ),
        "shape",
    ),
    "of fewer dimensions": (
        lambda u: u.replace(sums=u.sums[..., :1], products=u.products[..., :1]),
        "shape",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_moments_that_no_patches_have_are_refused(what):
    config = config_of("subspace")
    change, word = HOSTILE[what]
    honest, who = sums_of(config), enrolled(SITES[0], train={"bolt": 7, "hose": 7})
    assert admit_upload(config, honest, who, FIRST) == (honest, [])
    with pytest.raises(UploadError) as refused:
        admit_upload(config, change(honest), who, FIRST)
    assert refused.value.reason == word


def test_a_product_with_few_images_is_left_out_and_the_server_says_so():
    config = config_of("subspace", **{"least-images": 4})
    plant = Site("graz", (*SITES[0].train[:7], SITES[0].train[7]), ())
    upload = fit(config, plant, embed).upload
    assert upload.categories == ("bolt",)
    _, told = admit_upload(config, upload, enrolled(plant, train={"bolt": 7, "hose": 1}), FIRST)
    assert told == [
        "site graz has 1 good images of hose, fewer than subspace.least-images = 4, and left the "
        "product out"
    ]
    shy = config_of("subspace", **{"least-images": 9})
    nothing = fit(shy, plant, embed).upload
    assert nothing.categories == ()
    assert type(nothing).unpack(*nothing.pack()).sums.shape == (0, 1, D)
    model = learn(shy, [plant], embed).model
    assert not method_of(shy).judges(model, "bolt")
