"""FedDyMem's parts against their definitions, each of them switched, and what the door refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedad.averaging.moments import random_axes
from fedad.embedders.in_parts import InParts
from fedad.errors import DataError, UploadError
from fedad.judging.admission import admit_upload
from fedad.methods import _dynamic
from fedad.methods._generator import LAYERS, generated, started
from fedad.methods.base import FIRST, Turn, method_of
from fedad.methods.feddymem import Knobs
from fedad.round import fit, learn, merge
from tests.contracts.drawn_sites import D, config_of, embed, far, site
from tests.contracts.test_methods import enrolled, is_same, same

SITES = [site("graz"), site("lyon"), site("turin", categories=("bolt",))]


def begun(config):
    """The turn of the first memories."""
    return Turn(2, merge(config, [fit(config, plant, embed).upload for plant in SITES], FIRST))


def layers(seed=0, length=4.0):
    return started(random_axes(D, D, np.random.default_rng(seed)), length)


def test_a_generator_is_a_linear_layer_and_layer_norm_onto_the_sphere():
    made, rng = layers(), np.random.default_rng(1)
    made["gain"], made["bias"] = (rng.normal(size=D).astype(np.float32) for _ in "ab")
    points = rng.normal(size=(9, D)).astype(np.float32)
    linear = torch.nn.Linear(D, D)
    norm = torch.nn.LayerNorm(D)
    with torch.no_grad():
        for tensor, name in zip((*linear.parameters(), *norm.parameters()), LAYERS, strict=True):
            tensor.copy_(torch.from_numpy(made[name]))
        expected = torch.nn.functional.normalize(norm(linear(torch.from_numpy(points))), dim=1)
        found = _dynamic.output(
            {n: torch.from_numpy(a) for n, a in made.items()}, torch.from_numpy(points)
        )
    np.testing.assert_allclose(generated(made, points), expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)


def test_a_long_shift_keeps_the_order_of_distances_and_none_loses_lengths():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(1, D)) * np.linspace(0.5, 2, 6)[:, None]
    points = points.astype(np.float32)
    flat, round_ = (generated(layers(length=k), points) for k in (50.0, 0.0))
    assert np.abs(np.diff(np.linalg.norm(flat - flat[0], axis=1))).min() > 1e-3
    assert np.linalg.norm(round_ - round_[0], axis=1).max() < 1e-2


def test_the_metric_loss_is_its_formula():
    squares = np.random.default_rng(3).uniform(0, 1, (7, 9)) * np.linspace(0.001, 0.3, 7)[:, None]
    knobs = Knobs(radius=0.15, margin=0.005)
    near = np.sort(squares, axis=1)
    attract = np.maximum(0, near[:, :3] - 0.15**2).mean()
    repel = np.maximum(0, 0.15**2 - near[:, 3:6] - 0.005).mean()
    found = float(_dynamic.loss(torch.from_numpy(squares), knobs))
    assert found == pytest.approx(attract + repel, rel=1e-6)
    assert attract > 0 < repel
    few = float(_dynamic.loss(torch.from_numpy(squares[:, :2]), knobs))
    assert few == pytest.approx(np.maximum(0, squares[:, :2] - 0.15**2).mean(), rel=1e-6)


def test_rows_follow_the_patches_nearest_to_them_and_dead_ones_become_the_farthest():
    rows = torch.eye(3)
    points = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.2, 0.0], [1.0, -0.1, 0.0], [0.0, 1.0, 0.4]]), dim=1
    )
    squares = (2 - 2 * points @ rows.T).clamp_min(0)
    seen = _dynamic.Seen(3, "cpu")
    after = seen.moved(rows, points, squares, 0.25)
    mean = points[:2].mean(0)
    expected = torch.nn.functional.normalize(0.75 * rows[0] + 0.25 * mean, dim=0)
    torch.testing.assert_close(after[0], expected)
    torch.testing.assert_close(after[2], rows[2])  # nobody was near
    revived = seen.revived(after)
    torch.testing.assert_close(revived[2], points[2])  # of all the farthest from its row
    torch.testing.assert_close(revived[:2], after[:2])


def test_training_draws_patches_to_the_memory():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(64, D)).astype(np.float32)
    start = layers()
    rows = generated(start, rng.normal(size=(8, D)).astype(np.float32))
    knobs = Knobs(rate=0.01, radius=0.0, dynamic=False)
    trained, same_rows = _dynamic.updated(
        [[points]] * 30, start, rows, knobs=knobs, metric=True, device="cpu"
    )
    np.testing.assert_array_equal(rows, same_rows)

    def gap(made):
        return np.linalg.norm(generated(made, points)[:, None] - rows, axis=2).min(1).mean()

    assert gap(trained) < 0.9 * gap(start)


@pytest.mark.parametrize(
    "off",
    [
        {"metric": False},
        {"dynamic": False},
        {"reduce": False},
        {"join": "kcenter"},
        {"join": "uniform"},
        {"generator": "seed"},
        {"generator": "moments"},
        {"lift": 0.0},
        {"averaging": "median"},
    ],
)
def test_each_part_can_be_switched_and_changes_the_memory(off):
    usual = {"rounds": 1, "rows": 12, "rate": 0.01}
    whole, changed = (learn(config_of("feddymem", **usual, **k), SITES, embed) for k in ({}, off))
    assert not is_same(whole.model, changed.model)
    maps, _ = method_of(config_of("feddymem")).score(changed.model, far(SITES[0].test))
    assert np.isfinite(maps).all()


@pytest.mark.parametrize("generator", ["seed", "moments"])
def test_a_frozen_generator_is_not_sent_and_stays(generator):
    config = config_of("feddymem", generator=generator)
    turn = begun(config)
    local = fit(config, SITES[0], embed, turn)
    assert not local.upload.linear.size
    model = merge(config, [local.upload], turn)
    np.testing.assert_array_equal(model.linear, turn.model.linear)


def test_moments_turn_features_to_the_axes_of_all_sites_patches():
    config = config_of("feddymem", generator="moments", dimensions=3)
    model = begun(config).model
    patches = np.concatenate(
        [embed([s for s in p.train if s.category == "bolt"]).patches for p in SITES]
    )
    _, vectors = np.linalg.eigh(np.cov(patches.T))
    found = model.linear[model.group("bolt")]
    np.testing.assert_allclose(np.abs(found @ vectors[:, ::-1][:, :3]), np.eye(3), atol=1e-3)
    length = np.sqrt(np.square(patches.astype(float)).sum(1).mean())
    shift = np.linalg.norm(model.shift[model.group("bolt")])
    assert shift == pytest.approx(2 * length, rel=1e-4)


def test_rows_are_sorted_by_value_and_stand_for_no_more_patches_than_there_are():
    config = config_of("feddymem", reduce=False, rows=10)
    upload = fit(config, SITES[0], embed, begun(config)).upload
    for group in range(2):
        rows = upload.rows_of(group)
        keys = [row.tobytes() for row in np.ascontiguousarray(rows)]
        assert keys == sorted(keys)
        assert upload.patches[upload.whose == group].sum() == 40  # of 64; 4 for each row are read


def test_all_parts_off_is_a_coreset_of_single_patches():
    config = config_of(
        "feddymem", rounds=1, metric=False, dynamic=False, reduce=False, collected=100
    )
    turn = begun(config)
    upload = fit(config, SITES[2], embed, turn).upload
    embedded = generated(turn.model.layers(0), embed(SITES[2].train).patches)
    assert all(np.abs(embedded - row).max(1).min() < 1e-6 for row in upload.rows)


def test_sites_rest_once_nothing_moves():
    config = config_of("feddymem", rounds=3, still=0.5)
    turn = Turn(2, begun(config).model.replace(moved=0.5))
    local = fit(config, SITES[0], embed, turn)
    assert not len(local.upload.rows)
    assert admit_upload(config, local.upload, enrolled(SITES[0]), turn)[1] == []
    same(merge(config, [local.upload], turn), turn.model)
    moving = config_of("feddymem", rounds=3, still=1e-9)
    assert len(fit(moving, SITES[0], embed, begun(moving)).upload.rows)


def test_with_its_own_patches_a_site_scores_lower_or_the_same():
    config = config_of("feddymem", own=True, rows=8)
    found = learn(config, SITES, embed)
    features, method = embed(SITES[0].test), method_of(config)
    alone, _ = method.score(found.model, features)
    both, _ = method.score(found.model, features, own=found.own("graz"))
    assert (both <= alone).all()
    assert (both < alone).any()
    assert not found.local["graz"].upload.kept.size
    trained = embed(SITES[0].train)
    maps, _ = method.score(found.model, trained, own=found.own("graz"))
    assert (maps < 1e-3).sum() >= 16  # each of its own patches is found again


def test_one_memory_of_all_products_where_they_are_mixed():
    config = config_of("feddymem")
    config = replace(config, bank=replace(config.bank, scope="mixed"))
    found = learn(config, SITES, embed)
    assert found.model.groups == ("",)
    assert len(found.model.linear) == 1
    method = method_of(config)
    assert method.judges(found.model, "gear")
    maps, _ = method.score(found.model, embed(site("graz", categories=("gear",)).test))
    assert np.isfinite(maps).all()


def test_a_product_that_came_after_the_sums_is_left_out():
    config = config_of("feddymem")
    only_bolts = Turn(2, merge(config, [fit(config, SITES[2], embed).upload], FIRST))
    assert fit(config, SITES[0], embed, only_bolts).upload.categories == ("bolt",)


@pytest.mark.parametrize("generator", ["averaged", "seed"])
def test_a_product_whose_only_site_is_away_for_a_round_stays_as_it_was(generator):
    config = config_of("feddymem", generator=generator)
    turn = begun(config)
    both = merge(config, [fit(config, plant, embed, turn).upload for plant in SITES], turn)
    turn = Turn(3, both)
    model = merge(config, [fit(config, SITES[2], embed, turn).upload], turn)
    assert model.categories == both.categories
    assert model.by_product() == {"bolt": 4, "hose": 8}
    at = both.group("hose")
    np.testing.assert_allclose(model.rows_of(at), both.rows_of(at), atol=1e-6)
    for name, array in both.layers(at).items():
        np.testing.assert_array_equal(model.layers(at)[name], array)
    assert not is_same(model, both)
    back = fit(config, SITES[0], embed, Turn(4, model)).upload
    assert back.categories == both.categories


def test_a_product_without_a_row_yet_is_not_judged_and_may_come_back():
    config = config_of("feddymem")
    turn = begun(config)
    model = merge(config, [fit(config, SITES[2], embed, turn).upload], turn)
    method = method_of(config)
    assert method.judges(model, "bolt")
    assert not method.judges(model, "hose")
    assert method.scale(model)["hose"] == (0.0, 1.0)
    with pytest.raises(DataError, match="'hose': no site has sent a row of it"):
        method.score(model, embed(SITES[0].test))
    whole = merge(config, [fit(config, SITES[0], embed, Turn(3, model)).upload], Turn(3, model))
    assert method.judges(whole, "hose")


def test_a_product_that_the_first_round_lacks_is_refused_before_it_is_merged():
    config = config_of("feddymem")
    upload = fit(config, SITES[0], embed, begun(config)).upload
    only_bolts = Turn(2, merge(config, [fit(config, SITES[2], embed).upload], FIRST))
    with pytest.raises(UploadError, match="a memory of 'hose', expected products that the first"):
        admit_upload(config, upload, enrolled(SITES[0]), only_bolts)


def test_a_generator_that_nobody_trains_comes_back_as_it_was_sent():
    config = config_of("feddymem", metric=False)
    turn = begun(config)
    upload = fit(config, SITES[0], embed, turn).upload
    assert admit_upload(config, upload, enrolled(SITES[0]), turn) == (upload, [])
    other = upload.replace(bias=upload.bias + 1e-3)
    with pytest.raises(UploadError, match=r"expected at most .* after 0 steps of Adam"):
        admit_upload(config, other, enrolled(SITES[0]), turn)


def test_patches_whose_sum_would_overflow_are_refused():
    config = config_of("feddymem")
    turn = begun(config)
    upload = fit(config, SITES[2], embed, turn).upload
    patches = upload.patches.copy()
    patches[:2] = 2**62, 2**62  # with two more of these the sum is 0
    patches[2:4] = 2**62
    with pytest.raises(UploadError) as refused:
        admit_upload(config, upload.replace(patches=patches), enrolled(SITES[2]), turn)
    assert refused.value.reason == "counts"


def test_a_model_without_generators_is_named():
    config = config_of("feddymem")
    model = learn(config, SITES, embed).model
    nobody = model.replace(**{name: getattr(model, name)[:0] for name in LAYERS})
    with pytest.raises(UploadError, match="a memory of 0 generators, expected 2"):
        method_of(config).score(nobody, embed(SITES[0].test))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (lambda one: one.replace(rows=2 * one.rows), "norm"),
        (lambda one: one.replace(rows=0 * one.rows), "norm"),
        (lambda one: one.replace(rows=one.rows[:, :-1]), "shape"),
        (lambda one: one.replace(linear=one.linear[:, :, :-1]), "shape"),
        (lambda one: one.replace(linear=one.linear[:0]), "shape"),
        (lambda one: one.replace(patches=one.patches + 99), "counts"),
        (lambda one: one.replace(images=one.images + 9), "counts"),
        (lambda one: one.replace(linear=one.linear + 1), "norm"),
        (lambda one: one.replace(gain=1e4 * one.gain), "norm"),
        (lambda one: one.replace(scope="mixed"), "header"),
        (lambda one: one.replace(whose=0 * one.whose), "shape"),
    ],
)
def test_what_no_site_can_have_made_is_refused_by_its_word(changed, word):
    config = config_of("feddymem")
    turn = begun(config)
    upload = fit(config, SITES[0], embed, turn).upload
    assert admit_upload(config, upload, enrolled(SITES[0]), turn) == (upload, [])
    with pytest.raises(UploadError) as refused:
        admit_upload(config, changed(upload), enrolled(SITES[0]), turn)
    assert refused.value.reason == word


def test_rows_of_a_group_that_is_not_there_are_refused_when_they_are_read():
    config = config_of("feddymem")
    upload = fit(config, SITES[2], embed, begun(config)).upload
    tensors, header = upload.pack()
    with pytest.raises(UploadError, match="whose numbers 8 of 1 groups"):
        type(upload).unpack({**tensors, "whose": tensors["whose"] + 7}, header)


def test_features_that_come_in_parts_are_enough():
    config = config_of("feddymem", rows=100, reduce=False, metric=False, dynamic=False)
    turn, method = begun(config), method_of(config)
    parts = InParts(embed, SITES[0].train, (4, 4, D), 6 * 4 * 16 * D)
    some, all_ = (
        method.fit(features, FIRST, rng=np.random.default_rng(0))
        for features in (parts, embed(SITES[0].train))
    )
    np.testing.assert_allclose(some.sums, all_.sums, rtol=1e-12)
    found = method.fit(parts, turn, rng=np.random.default_rng(0))
    whole = method.fit(embed(SITES[0].train), turn, rng=np.random.default_rng(0))
    assert len(found.rows) == len(whole.rows) == 2 * 64  # every patch is a row
    np.testing.assert_allclose(found.rows, whole.rows, atol=1e-6)


def test_a_site_with_one_image_takes_part():
    config = config_of("feddymem")
    found = learn(config, [site("graz", count=1), SITES[1]], embed)
    assert found.local["graz"].upload.images.tolist() == [1, 1]
    assert (found.local["graz"].upload.patches > 0).all()
