"""The federated distribution is the centralised one, and that is PaDiM's definition."""

import numpy as np
import pytest

from fedad.methods.base import FIRST, method_of
from fedad.round import fit, learn
from fedad.types import Site
from fedad.yardsticks import ALL
from tests.contracts.drawn_sites import D, config_of, embed, far, site

SITES = [site("graz", count=7), site("lyon", count=5), site("turin", categories=("bolt",))]
WHOLE = Site(ALL, tuple(s for plant in SITES for s in plant.train), ())


def relative(one, other):
    return np.abs(one - other).max() / np.abs(other).max()


@pytest.mark.parametrize("reduction", ["random", "pca"])
@pytest.mark.parametrize("cells", ["blocks", "global"])
def test_federated_is_centralised_to_1e_9_and_its_maps_to_1e_6(reduction, cells):
    config = config_of("gaussian", reduction=reduction, cells=cells)
    one, other = (learn(config, sites, embed).model for sites in (SITES, [WHOLE]))
    assert one.mean.dtype == np.float64
    for name in ("mean", "covariance", "axes"):
        assert relative(getattr(one, name), getattr(other, name)) <= 1e-9
    assert one.patches == other.patches
    method = method_of(config)
    for features in (embed(SITES[0].test), far(SITES[0].test)):
        maps = [method.score(model, features)[0] for model in (one, other)]
        assert np.abs(maps[0] - maps[1]).max() <= 1e-6 * maps[1].max()


def test_what_travels_is_float64_whatever_the_wire_is():
    config = config_of("gaussian")
    for dtype in ("float32", "float16"):
        wire = type(config.wire)(dtype=dtype)
        upload = fit(type(config)(**{**vars(config), "wire": wire}), SITES[0], embed).upload
        tensors, _ = upload.pack()
        assert tensors["sums"].dtype == tensors["products"].dtype == np.float64


def test_a_score_is_the_mahalanobis_distance_of_padim():
    """One cell a position, as in the paper, by numpy's own covariance and inverse."""
    config = config_of("gaussian", block=1, dimensions=D, shrinkage=0.01)
    model = learn(config, [SITES[0]], embed).model
    good = [s for s in SITES[0].train if s.category == "bolt"]
    test = [s for s in SITES[0].test if s.category == "bolt"]
    known, features = embed(good).grid.astype(float), embed(test)
    expected = np.empty(features.grid.shape[:3])
    for y in range(4):
        for x in range(4):
            points = known[:, y, x]
            covariance = np.cov(points.T, bias=True)
            covariance += 0.01 * np.trace(covariance) / D * np.eye(D)
            off = features.grid[:, y, x] - points.mean(0)
            power = np.einsum("nd,de,ne->n", off, np.linalg.inv(covariance), off)
            expected[:, y, x] = np.sqrt(power)
    maps, scores = method_of(config).score(model, features)
    np.testing.assert_allclose(maps, expected, rtol=1e-5)
    np.testing.assert_allclose(scores, expected.max((1, 2)), rtol=1e-5)


def test_all_sites_take_the_same_random_features_and_another_seed_takes_others():
    config = config_of("gaussian", dimensions=3)
    method = method_of(config)
    axes = [learn(config, [plant], embed).model.axes for plant in SITES[:2]]
    np.testing.assert_array_equal(*axes)
    assert axes[0].sum() == 3
    other = type(config)(**{**vars(config), "round": type(config.round)("gaussian", seed=3)})
    assert not np.array_equal(learn(other, [SITES[0]], embed).model.axes, axes[0])
    assert method.describe(learn(config, SITES, embed).model)["dimensions"] == 3


def test_a_product_with_few_images_is_left_out_and_the_server_says_so():
    from fedad.judging.admission import admit_upload
    from tests.contracts.test_methods import enrolled

    config = config_of("gaussian", **{"least-images": 4})
    plant = Site("graz", (*SITES[0].train[:7], SITES[0].train[7]), ())
    upload = fit(config, plant, embed).upload
    assert upload.categories == ("bolt",)
    who = enrolled(plant, train={"bolt": 7, "hose": 1})
    _, told = admit_upload(config, upload, who, FIRST)
    assert told == [
        "site graz has 1 good images of hose, fewer than gaussian.least-images = 4, and left the "
        "product out"
    ]
    shy = config_of("gaussian", **{"least-images": 9})
    nothing = fit(shy, plant, embed).upload
    assert nothing.categories == ()
    assert type(nothing).unpack(*nothing.pack()).sums.shape == (0, 4, 4)
    model = learn(shy, [plant], embed).model
    assert not method_of(shy).judges(model, "bolt")
    generous = site("lyon", count=9)
    assert learn(shy, [plant, generous], embed).model.by_product() == {"bolt": 9, "hose": 9}
