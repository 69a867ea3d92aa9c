"""ReConPatch's loss against a slow definition, and its banks against PatchCore's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedad.embedders.in_parts import InParts
from fedad.errors import UploadError
from fedad.judging.admission import admit_upload
from fedad.methods import _contrast
from fedad.methods.base import FIRST, Turn, method_of
from fedad.methods.reconpatch import Knobs
from fedad.round import fit, learn, merge
from tests.contracts.drawn_sites import D, config_of, embed, far, site
from tests.contracts.test_methods import enrolled, same

SITES = [site("graz"), site("lyon"), site("turin", categories=("bolt",))]


def points(count=24, size=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size))


def slow_similarity(slow, knobs):
    """By loops over pairs and sets, from the formulas."""
    count = len(slow)
    squares = [[sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) for q in slow] for p in slow]
    usual = sum(map(sum, squares)) / (count * (count - 1))

    def near(i, k):
        others = sorted((squares[i][j], j) for j in range(count) if j != i)
        return {i} | {j for _, j in others[: k - 1]}

    wide = [near(i, knobs.k) for i in range(count)]
    close = [near(i, max(1, knobs.k // 2)) for i in range(count)]
    shared = [
        [len(wide[i] & wide[j]) / knobs.k if j in wide[i] else 0.0 for j in range(count)]
        for i in range(count)
    ]
    expanded = [
        [sum(shared[other][j] for other in close[i]) / len(close[i]) for j in range(count)]
        for i in range(count)
    ]
    found = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            pairwise = np.exp(-squares[i][j] / (knobs.sigma * usual))
            both = (expanded[i][j] + expanded[j][i]) / 2
            found[i, j] = knobs.alpha * pairwise + (1 - knobs.alpha) * both
    return found


def slow_loss(fast, weights, margin):
    count, total = len(fast), 0.0
    for i in range(count):
        far = [float(np.sqrt(np.square(fast[i] - other).sum())) for other in fast]
        usual = sum(far) / count
        for j in range(count):
            if i != j:
                delta, w = far[j] / usual, weights[i][j]
                total += w * delta**2 + (1 - w) * max(0.0, margin - delta) ** 2
    return total / (count * (count - 1))


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(),
        Knobs(k=8, alpha=0.2, sigma=0.3, margin=2.0),
        Knobs(k=3, alpha=0.0),
        Knobs(k=1, alpha=1.0),
    ],
)
def test_similarity_and_loss_are_those_of_the_formulas(knobs):
    slow, fast = points(seed=1), points(seed=2)
    weights = _contrast.similarity(torch.from_numpy(slow), knobs)
    expected = slow_similarity(slow, knobs)
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-6)
    assert 0 <= expected.min() <= expected.max() <= 1
    found = _contrast.loss(torch.from_numpy(fast), weights, knobs.margin)
    assert float(found) == pytest.approx(slow_loss(fast, expected, knobs.margin), rel=1e-5)


def test_what_public_ports_get_wrong_changes_the_loss():
    """A margin of .1, no expansion, distances that are not squared: each is another number."""
    slow, fast, knobs = points(seed=1), torch.from_numpy(points(seed=2)), Knobs()
    squares = _contrast.squared(torch.from_numpy(slow))
    weights = _contrast.similarity(torch.from_numpy(slow), knobs)
    usual = float(_contrast.loss(fast, weights, 1.0))
    members = _contrast.among(_contrast.nearest(squares, knobs.k))
    unexpanded = (members @ members.T / knobs.k * members).double()
    pairwise = _contrast.pairwise(squares, knobs.sigma)
    others = {
        "margin": _contrast.loss(fast, weights, 0.1),
        "no expansion": _contrast.loss(fast, (pairwise + unexpanded) / 2, 1.0),
        "unsquared": _contrast.loss(
            fast,
            (_contrast.pairwise(squares.sqrt(), 1.0) + _contrast.contextual(squares, 5)) / 2,
            1.0,
        ),
    }
    for name, other in others.items():
        assert abs(float(other) - usual) > 1e-3, name


def test_the_loss_does_not_grow_with_the_batch():
    def both(count):
        some = torch.from_numpy(points(count, 16, seed=3))
        mean = float(_contrast.loss(some, _contrast.similarity(some, Knobs()), 1.0))
        return mean, mean * (count - 1)  # the paper's: the sum over j, the mean over i

    (mean, sums), (other_mean, other_sums) = both(256), both(1024)
    assert other_mean == pytest.approx(mean, rel=0.1)
    assert other_sums > 3 * sums


def test_patches_that_are_the_same_have_a_slope():
    some = torch.ones(8, 3, requires_grad=True)
    weights = _contrast.similarity(some.detach(), Knobs())
    _contrast.loss(some, weights, 1.0).backward()
    assert torch.isfinite(some.grad).all()


def test_slow_copies_follow_what_is_trained_and_weigh_it():
    """With momentum 0 they are the maps of the step before; standing still, those of the start."""
    maps = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)
    batches = [points(16, 4, seed).astype(np.float32) for seed in range(3)]
    seen = []
    similarity = _contrast.similarity

    def watched(slow, knobs):
        seen.append(slow.numpy().copy())
        return similarity(slow, knobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_contrast, "similarity", watched)
        _contrast.trained(batches, maps, knobs=Knobs(momentum=0.0, rate=0.01), device="cpu")
        first, _ = _contrast.trained(
            batches[:1], maps, knobs=Knobs(momentum=0.0, rate=0.01), device="cpu"
        )
        del seen[3:]
        _contrast.trained(batches, maps, knobs=Knobs(momentum=0.999999, rate=0.01), device="cpu")
    np.testing.assert_allclose(seen[0], batches[0], atol=1e-6)
    assert np.abs(seen[1] - batches[1]).max() > 1e-3
    assert np.abs(first - maps[0]).max() > 1e-3
    for slow, batch in zip(seen[3:], batches, strict=True):
        np.testing.assert_allclose(slow, batch, atol=1e-4)


def test_training_lowers_the_loss_of_the_similarities_that_it_began_with():
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(6, 8))
    some = (centres[rng.integers(6, size=400)] + rng.normal(size=(400, 8))).astype(np.float32)
    maps, knobs = (np.eye(8, dtype=np.float32),) * 2, Knobs(rate=0.01, momentum=0.999)
    steps = (some[rng.permutation(400)[:128]] for _ in range(40))
    found = _contrast.trained(steps, maps, knobs=knobs, device="cpu")
    weights = _contrast.similarity(torch.from_numpy(some), knobs)
    before, after = (
        float(_contrast.loss(_contrast.embedded(torch.from_numpy(some), pair), weights, 1.0))
        for pair in ([*map(torch.from_numpy, maps)], [*map(torch.from_numpy, found)])
    )
    assert after < 0.98 * before
    assert _contrast.loss_of(some, maps, knobs) == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize("scope", ["category", "mixed"])
def test_with_hardly_a_step_it_is_patchcore_in_turned_features(scope):
    still = config_of("reconpatch", rounds=1, steps=1, rate=1e-12)
    still = replace(still, bank=replace(still.bank, scope=scope))
    plain = replace(still, round=replace(still.round, method="patchcore"))
    found = [learn(config, SITES, embed) for config in (still, plain)]
    assert len(found[0].model) == len(found[1].model)
    np.testing.assert_array_equal(found[0].model.source, found[1].model.source)
    for features in (embed(SITES[0].test), far(SITES[0].test)):
        maps = [
            method_of(config).score(one.model, features, own=one.own("graz"))[0]
            for config, one in zip((still, plain), found, strict=True)
        ]
        np.testing.assert_allclose(*maps, atol=1e-3)


def test_f_stands_still_before_any_bank_is_made():
    config = config_of("reconpatch", rounds=2)
    turn, models = FIRST, []
    for _ in method_of(config).rounds:
        models.append(merge(config, [fit(config, s, embed, turn).upload for s in SITES], turn))
        turn = Turn(turn.number + 1, models[-1])
    np.testing.assert_array_equal(models[2].modulation, models[1].modulation)
    assert np.abs(models[1].modulation - models[0].modulation).max() > 0
    bolts = embed([s for s in SITES[2].train if s.category == "bolt"])
    own = fit(config, SITES[2], embed, Turn(3, models[1])).own
    np.testing.assert_allclose(
        own.rows, bolts.patches[own.source] @ models[2].map_of("bolt").T, rtol=1e-5, atol=1e-5
    )


def test_maps_are_averaged_by_images_and_one_site_is_itself():
    config = config_of("reconpatch", rounds=1)
    uploads = [fit(config, plant, embed).upload for plant in SITES]
    merged = merge(config, uploads, FIRST)
    expected = np.mean([one.modulation[0].astype(float) for one in uploads], axis=0)
    np.testing.assert_allclose(merged.modulation[0], expected, atol=1e-6)
    same(merge(config, uploads[:1], FIRST), uploads[0])


def test_a_product_that_nobody_trained_has_the_map_that_all_start_from():
    config = config_of("reconpatch", rounds=1)
    maps = merge(config, [fit(config, SITES[2], embed).upload], FIRST)
    local = fit(config, SITES[0], embed, Turn(2, maps)).upload
    model = merge(config, [local], Turn(2, maps))
    np.testing.assert_allclose(model.map_of("hose") @ model.map_of("hose").T, np.eye(D), atol=1e-5)
    np.testing.assert_array_equal(model.map_of("bolt"), maps.modulation[0])


@pytest.mark.parametrize(
    ("number", "changed", "word"),
    [
        (1, lambda one: one.replace(modulation=one.modulation[:, :-1]), "shape"),
        (1, lambda one: one.replace(projection=one.projection[:, :-1]), "shape"),
        (1, lambda one: one.replace(modulation=1e4 * one.modulation), "norm"),
        (1, lambda one: one.replace(projection=0 * one.projection), "norm"),
        (1, lambda one: one.replace(scope="mixed"), "header"),
        (1, lambda one: one.replace(images=one.images + 9), "counts"),
        (2, lambda one: one.replace(rows=100 * one.rows), "norm"),
        (2, lambda one: one.replace(scope="mixed"), "header"),
        (2, lambda one: one.replace(images=one.images + 9), "counts"),
    ],
)
def test_what_no_site_can_have_made_is_refused_by_its_word(number, changed, word):
    config, turn = config_of("reconpatch", rounds=1), FIRST
    if number == 2:
        turn = Turn(2, merge(config, [fit(config, s, embed).upload for s in SITES], FIRST))
    upload = fit(config, SITES[0], embed, turn).upload
    assert admit_upload(config, upload, enrolled(SITES[0]), turn) == (upload, [])
    with pytest.raises(UploadError) as refused:
        admit_upload(config, changed(upload), enrolled(SITES[0]), turn)
    assert refused.value.reason == word


def test_fewer_dimensions_than_features_and_one_image_are_enough():
    config = config_of("reconpatch", rounds=1, dimensions=3, projected=2)
    model = learn(config, [site("graz", count=1)], embed).model
    assert model.rows.shape[1] == 3
    assert method_of(config).describe(model)["modulated_from"] == D
    maps, _ = method_of(config).score(model, embed(SITES[0].test))
    assert np.isfinite(maps).all()


def test_features_that_come_in_parts_go_through_f_too():
    config = config_of("reconpatch", rounds=1)
    maps = merge(config, [fit(config, SITES[0], embed).upload], FIRST)
    parts = InParts(embed, SITES[0].train, (4, 4, D), 40 * 4 * 16 * D)
    method = method_of(config)
    first = method.fit(parts, FIRST, rng=np.random.default_rng(0))
    assert first.modulation.shape == maps.modulation.shape
    bank = method.fit(parts, Turn(2, maps), rng=np.random.default_rng(0))
    whole = embed(SITES[0].train)
    f = dict(zip(maps.categories, maps.modulation, strict=True))
    for row, source in zip(bank.rows, bank.source, strict=True):
        name = whole.categories[source // 16]
        np.testing.assert_allclose(row, f[name] @ whole.patches[source], rtol=1e-4, atol=1e-4)
