"""The learned projection of signatures: its slopes, what it tells apart, and how it is averaged."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.config import read
from fedad.errors import UploadError
from fedad.judging.admission import admit_upload
from fedad.methods._projection import Learned, begun, loss_of, routed_by, trained
from fedad.methods._router import nearest_of, unit
from fedad.methods.base import Turn, method_of
from fedad.round import fit, learn, merge
from tests.contracts.drawn_sites import site
from tests.contracts.test_methods import enrolled, same
from tests.methods.test_experts import SITES, config, plants, variants

F, SIZE = 24, 6
GIVEN = {"subclasses": "given", "pattern": r"(?:[02468]|([13579]))$"}


def projecting(**more):
    return config(**{"projection": 4, "projection-rounds": 2, "projection-steps": 20, **more})


def known(rng):
    return Learned(rng.normal(size=(SIZE, F)), unit(rng.normal(size=(3, SIZE))))


def test_its_slopes_are_those_of_its_cost():
    rng = np.random.default_rng(0)
    start, points, labels = known(rng), unit(rng.normal(size=(7, F))), rng.integers(0, 3, 7)
    _, slopes = loss_of(start, points, labels)
    step = 1e-6
    for part in range(2):
        for at in [(0, 0), (1, 3), (2, 5)]:
            ends = []
            for sign in (1, -1):
                moved = [one.copy() for one in start]
                moved[part][at] += sign * step
                ends.append(loss_of(Learned(*moved), points, labels)[0])
            assert slopes[part][at] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


def test_its_cost_is_the_centre_loss_and_the_cross_entropy():
    from scipy.special import log_softmax

    rng = np.random.default_rng(1)
    start, points, labels = known(rng), unit(rng.normal(size=(5, F))), rng.integers(0, 3, 5)
    shown = unit(points @ start.matrix.T)
    far = np.square(shown - start.targets[labels]).sum(1)
    logs = log_softmax(shown @ start.targets.T / 0.1, axis=1)[np.arange(5), labels]
    assert loss_of(start, points, labels)[0] == pytest.approx((far - logs).mean())


def kinds(rng, count):
    """Signatures of two kinds that differ along one axis alone, and scatter along others more."""
    labels = rng.integers(0, 2, count)
    points = rng.normal(size=(count, F)) * np.r_[0.05, np.ones(F - 1)]
    points[:, 0] += np.where(labels, 0.6, -0.6)
    return unit(points), labels


def test_it_learns_which_way_sub_classes_differ_where_centroids_do_not_tell():
    rng = np.random.default_rng(2)
    points, labels = kinds(rng, 60)
    others, truth = kinds(rng, 400)
    centroids = np.array([points[labels == k].mean(0) for k in range(2)])
    plain = (nearest_of(others, unit(centroids)) == truth).mean()
    start = begun(centroids, 12, "bolt", 0)
    np.testing.assert_array_equal(routed_by(start, others), nearest_of(others, unit(centroids)))
    found = trained(start, points, labels, 300)
    learned = (routed_by(found, others) == truth).mean()
    assert loss_of(found, points, labels)[0] < 0.6 * loss_of(start, points, labels)[0]
    assert learned > plain + 0.05


def test_all_sites_begin_alike_and_by_the_seed():
    centroids = np.random.default_rng(3).normal(size=(2, F))
    for one, other in zip(begun(centroids, 4, "a", 0), begun(centroids, 4, "a", 0), strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = (begun(centroids, 4, "a", seed).matrix for seed in (0, 1))
    assert (one[2:] != other[2:]).all()
    np.testing.assert_allclose(one @ one.T, np.eye(4), atol=1e-6)
    assert begun(centroids, 99, "a", 0).matrix.shape == (F, F)


@pytest.mark.parametrize("given", [{}, GIVEN])
def test_variants_found_or_given_are_routed_by_what_is_learned(given):
    settings = projecting(**given)
    found = learn(settings, SITES, plants)
    assert len(found.model.experts) >= 2
    assert found.model.matrix.shape[1:] == (4, 12)
    assert method_of(settings).describe(found.model)["projections"] == 1
    assert len(found.model.targets) == len(found.model.experts)


def test_images_of_a_variant_go_together():
    settings = projecting()
    found = learn(settings, SITES, plants)
    assert len(found.model.experts) == 2
    names = method_of(settings).routed(found.model, plants(SITES[0].test), own=found.own("graz"))
    for variant in range(2):
        mine = [n for n, v in zip(names, variants(SITES[0].test), strict=True) if v == variant]
        assert len({*mine}) == 1


def test_in_whatever_order_sites_come_it_is_the_same():
    settings = projecting()
    same(learn(settings, SITES[::-1], plants).model, learn(settings, SITES, plants).model)


def test_with_one_site_the_average_is_what_it_learned():
    settings = projecting(centred=False, separation=0.0, **{"least-images": 1})
    turn = Turn()
    phases = method_of(settings).phases[:4]
    for _ in phases:
        upload = fit(settings, SITES[0], plants, turn).upload
        turn = Turn(turn.number + 1, merge(settings, [upload], turn))
    assert phases[-1] == "projection"
    np.testing.assert_array_equal(turn.model.matrix, upload.matrix)
    np.testing.assert_array_equal(turn.model.targets, upload.targets)


def to_projection(settings, sites=SITES):
    turn = Turn()
    for _ in range(2):
        uploads = [fit(settings, plant, plants, turn).upload for plant in sites]
        turn = Turn(turn.number + 1, merge(settings, uploads, turn))
    return turn


def test_the_average_counts_images_and_a_site_without_a_sub_class_has_no_say_in_its_centre():
    settings = projecting(centred=False)
    few = [replace(SITES[0], train=SITES[0].train[1::2]), *SITES[1:]]
    turn = to_projection(settings, few)
    sent = [fit(settings, plant, plants, turn).upload for plant in few]
    model = merge(settings, sent, turn)
    weights = [one.images[0] for one in sent]
    assert weights == [3, 6, 6]
    mean = np.average([one.matrix[0] for one in sent], axis=0, weights=weights)
    np.testing.assert_allclose(model.matrix[0], mean, atol=1e-6)
    (alone,) = np.flatnonzero(sent[0].routed == 0)
    mean = np.mean([one.targets[alone] for one in sent[1:]], axis=0)
    np.testing.assert_allclose(model.targets[alone], mean, atol=1e-6)


def test_a_product_with_one_expert_has_no_projection_and_is_judged():
    settings = projecting()
    alike = [replace(s, train=s.train[::2], test=s.test[:1]) for s in SITES]
    found = learn(settings, alike, plants)
    assert (len(found.model.experts), len(found.model.matrix)) == (1, 0)
    maps, _ = method_of(settings).score(found.model, plants(SITES[0].test[:1]))
    assert np.isfinite(maps).all()


def test_two_products_have_one_each_and_a_model_of_some_keeps_theirs():
    twins = [site(p.name, count=6, categories=("bolt", "hose")) for p in SITES]
    model = learn(projecting(centred=False), twins, plants).model
    assert [*model.projected] == [0, 1]
    some = model.take(model.of("hose").tolist())
    assert some.categories == ("hose",)
    np.testing.assert_array_equal(some.projection("hose").matrix, model.projection("hose").matrix)
    np.testing.assert_array_equal(some.projection("hose").targets, model.projection("hose").targets)


def test_features_that_no_image_has_are_admitted():
    """What training leaves of them by rounding, or Adam makes of that, is next to 0, which the door
    takes for an attack."""

    def dead(samples):
        features = plants(samples)
        grid = features.grid.copy()
        grid[..., 1] = 0
        return replace(features, grid=grid)

    settings, turn = projecting(), Turn()
    for phase in method_of(settings).phases[:4]:
        uploads = [fit(settings, plant, dead, turn).upload for plant in SITES]
        told = enrolled(SITES[0], train={"bolt": 6}, longest=float(50))
        if phase == "projection":
            assert uploads[0].matrix.size
            same(admit_upload(settings, uploads[0], told, turn)[0], uploads[0])
        turn = Turn(turn.number + 1, merge(settings, uploads, turn))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_honest_projections_are_admitted_as_they_travel(dtype):
    settings = read({**projecting().flat(), "wire.dtype": dtype})
    turn = to_projection(settings)
    sent = fit(settings, SITES[0], plants, turn).upload
    sent = type(sent).unpack(*sent.pack())
    told = enrolled(SITES[0], train={"bolt": 6})
    same(admit_upload(settings, sent, told, turn)[0], sent)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: {"matrix": p.matrix + 1}, "norm"),
        (lambda p: {"targets": p.targets * 2}, "norm"),
        (lambda p: {"routed": p.routed + 1}, "counts"),
        (lambda p: {"matrix": p.matrix[:, :-1], "targets": p.targets[:, :-1]}, "shape"),
        (lambda p: {"matrix": p.matrix[:0], "categories": (), "images": p.images[:0]}, "counts"),
    ],
)
def test_projections_that_no_training_gives_are_refused(change, word):
    settings = projecting()
    turn = to_projection(settings)
    sent, told = fit(settings, SITES[0], plants, turn).upload, enrolled(SITES[0], train={"bolt": 6})
    with pytest.raises(UploadError) as refused:
        admit_upload(settings, sent.replace(**change(sent)), told, turn)
    assert refused.value.reason == word


def test_what_it_costs_in_bytes_and_rounds():
    plain, with_it = method_of(config()), method_of(projecting())
    assert len(with_it.rounds) == len(plain.rounds) + 2
    assert "projection" not in method_of(projecting(router="off")).phases
    settings = projecting()
    sent = fit(settings, SITES[0], plants, to_projection(settings)).upload
    assert sum(one.nbytes for one in sent.pack()[0].values()) < 4 * 4 * 12 + 400
