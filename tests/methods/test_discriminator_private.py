"""The head within a budget of privacy: what it costs, what leaves, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fedad.dp.accounting import charged
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.errors import ConfigError, UploadError
from fedad.judging.admission import admit_upload
from fedad.methods import discriminator
from fedad.methods.base import FIRST, budget_of, method_of
from fedad.plugins import plugin
from fedad.round import fit, learn
from fedad.types import Enrolled
from tests.contracts.drawn_sites import MARK_16, D, config_of, embed, far, site
from tests.dp.public_numbers import public_numbers

COUNT = 37  # good images of a product: in no message
KNOBS = {"rounds": 2, "epochs": 3, "private-rate": 0.03, "patches": 16}
PUBLIC = public_numbers(D, MARK_16)


@pytest.fixture(autouse=True)
def _public(monkeypatch):
    """The small network's public numbers."""
    monkeypatch.setattr(discriminator, "public_of", lambda fingerprint: PUBLIC)


@pytest.fixture(scope="module")
def plant():
    return site("graz", count=COUNT)


def private(epsilon=5.0, **more):
    config = config_of("discriminator", **{**KNOBS, **more})
    table = replace(config.knobs("dp_sgd"), epsilon=epsilon, batch=10, images=40)
    return replace(
        config,
        privacy=replace(config.privacy, release="dp_sgd"),
        plugins={**config.plugins, "dp_sgd": table},
    )


def privately(config, plant, noise, turn=FIRST):
    return method_of(config).private_fit(
        embed(plant.train), turn, own=None, noise=noise, budget=budget_of(config)
    )


def test_all_rounds_together_cost_what_was_asked_for(plant):
    config = private()
    learned = learn(config, [plant], embed)
    receipt = learned.local["graz"].receipt
    assert receipt.private
    assert (receipt.epsilon, receipt.delta, receipt.unit) == (5.0, 1e-5, "image")
    assert (receipt.rate, receipt.steps) == (0.25, 12)
    assert receipt.images == {"bolt": COUNT, "hose": COUNT}
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed")
    assert 0.99 * 5 <= charged([receipt] * 2, 1e-5).epsilon <= 5


def test_how_many_images_there_are_is_in_no_message(plant):
    local = fit(private(), plant, embed)
    tensors, header = local.upload.pack()
    np.testing.assert_array_equal(tensors["images"], [1, 1])
    assert str(COUNT) not in json.dumps(header)
    for name, tensor in tensors.items():
        assert COUNT not in tensor.shape, name
        assert COUNT * 16 not in tensor.shape, name
        assert not np.isin([COUNT, COUNT * 16], tensor).any(), name


def test_the_form_of_an_upload_is_the_same_whatever_images_there_are(plant):
    few, many = (fit(private(), p, embed).upload.pack() for p in (site("graz", count=3), plant))
    assert few[1] == many[1]
    for name, tensor in few[0].items():
        assert (tensor.shape, tensor.dtype) == (many[0][name].shape, many[0][name].dtype)


def test_noise_is_never_drawn_twice_and_seeded_noise_is_not_private(plant):
    config = private()
    one, other = (fit(config, plant, embed) for _ in range(2))
    assert not np.array_equal(one.upload.hidden, other.upload.hidden)
    again = [privately(config, plant, SeededNoise(4)) for _ in range(2)]
    np.testing.assert_array_equal(again[0][0].hidden, again[1][0].hidden)
    assert not again[0][1].private
    assert one.receipt.private


def test_one_image_is_all_the_difference_that_one_image_makes(plant):
    """Without noise, and with all images in each step: nothing but the image's own gradient."""

    class Silent:
        private = False

        def normal(self, shape):
            return np.full(shape, -9.0) if shape in ((COUNT,), (COUNT - 1,)) else np.zeros(shape)

    config = private(rounds=1, epochs=1, **{"private-rate": 1e-3})
    table = replace(config.knobs("dp_sgd"), batch=40)  # one step
    config = replace(config, plugins={**config.plugins, "dp_sgd": table})
    without = replace(plant, train=plant.train[1:])
    one, other = (privately(config, p, Silent())[0] for p in (plant, without))
    at = one.categories.index("hose")
    assert plant.train[0].category == "bolt"
    np.testing.assert_array_equal(one.hidden[at], other.hidden[at])  # another product's
    # Adam's first step is the sign of the mean gradient, which one image of 37 hardly turns.
    assert np.mean(np.abs(one.hidden - other.hidden) > 1e-3) < 0.2


def test_a_head_in_public_units_is_the_head_of_the_features():
    from fedad.methods import _layers

    rng = np.random.default_rng(0)
    head = method_of(private())._head("bolt", D, None)
    head = {name: a + 0.1 * rng.normal(size=a.shape).astype("f4") for name, a in head.items()}
    spread = _layers.spread_of(PUBLIC)
    assert (spread > 0).all()
    there = _layers.standardised(head, PUBLIC.mean, spread)
    back = _layers.in_features(there, PUBLIC.mean, spread)
    for name, array in head.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-4, atol=1e-5)


def auroc(config, head, plant):
    """Of patches that no good image has among those of good images."""
    method = method_of(config)
    good, _ = method.score(head, embed(plant.test))
    bad, _ = method.score(head, far(plant.test))
    told = np.concatenate([good.ravel(), bad[:, 1:3, 1:3].ravel()])
    return roc_auc_score(np.arange(len(told)) >= good.size, told)


def layers_of(heads):
    return {name: getattr(heads, name)[0] for name in discriminator.LAYERS}


def loss_on(head, plant):
    """What training brings down, on the plant's test images."""
    import torch

    from fedad.methods import _head, _layers

    spread, points = _layers.spread_of(PUBLIC), embed(plant.test).grid.reshape(-1, 16, D)
    module = _head.Head(_layers.standardised(head, PUBLIC.mean, spread))
    off = 0.5 * np.random.default_rng(3).normal(size=(16, D))
    told = module(torch.from_numpy((points - PUBLIC.mean) / spread), torch.from_numpy(off))
    return _head.loss(told).mean().item()


def test_with_hardly_any_noise_it_learns_as_without_and_with_much_it_does_not(monkeypatch):
    plant = site("graz", count=COUNT, categories=("bolt",))
    plain, config = config_of("discriminator", epochs=6), private(rounds=1, epochs=12)

    def head_at(noise, seed):
        monkeypatch.setattr("fedad.dp.sgd.noise_multiplier", lambda *told: noise)
        return privately(config, plant, SeededNoise(seed))[0]

    silent, loud = head_at(1e-3, 0), [head_at(100.0, seed) for seed in range(3)]
    without = fit(plain, plant, embed).upload
    assert auroc(config, silent, plant) > auroc(plain, without, plant) - 0.05
    told = loss_on(layers_of(silent), plant)
    assert told < loss_on(method_of(config)._head("bolt", D, None), plant) - 0.02
    assert min(loss_on(layers_of(head), plant) for head in loud) > told + 0.02


def enrolled(plant):
    return Enrolled(plant.name, {"bolt": COUNT, "hose": COUNT}, {}, MARK_16, D, 50.0)


def test_sites_weigh_alike_and_heads_of_other_numbers_are_refused(plant):
    config = private()
    upload = fit(config, plant, embed).upload
    admitted, odd = admit_upload(config, upload, enrolled(plant), FIRST)
    assert admitted is upload
    assert odd == []
    told = upload.replace(images=np.array([COUNT, 1]))
    with pytest.raises(UploadError, match="heads of 37 images, expected 1"):
        admit_upload(config, told, enrolled(plant), FIRST)
    merged = method_of(config).merge(
        [upload, upload.replace(sites=("lyon",), shift=upload.shift + 2)], FIRST, rng=None
    )
    np.testing.assert_allclose(merged.shift, upload.shift + 1, rtol=1e-5, atol=1e-5)
    assert method_of(config).describe(merged)["sites_by_category"] == {"bolt": 2, "hose": 2}


@pytest.mark.parametrize("name", ["patchcore", "gaussian"])
def test_a_method_that_does_not_train_within_a_budget_is_refused(name):
    config = config_of(name)
    config = replace(config, privacy=replace(config.privacy, release="dp_sgd"))
    with pytest.raises(ConfigError, match=rf"'dp_sgd': expected another release .* {name!r}"):
        method_of(config)


def test_a_release_of_banks_is_refused_for_heads():
    config = config_of("discriminator")
    config = replace(config, privacy=replace(config.privacy, release="dp_tree"))
    with pytest.raises(ConfigError, match=r"'dp_tree': expected another release .*'discriminator'"):
        method_of(config)


def test_images_that_come_in_parts_are_refused_before_one_is_read():
    config = private()
    config = replace(config, coreset=replace(config.coreset, memory_gb=2.0))
    with pytest.raises(ConfigError, match=r"coreset\.memory-gb = 2: expected 0 with"):
        method_of(config)


def test_what_was_trained_without_noise_is_never_released(plant):
    upload = fit(config_of("discriminator"), plant, embed).upload
    with pytest.raises(ConfigError, match="trained without noise cannot be released"):
        plugin("privacy", "dp_sgd")(upload, embed(plant.train), noise=OsNoise())


def test_an_embedding_without_public_numbers_is_refused(plant, monkeypatch):
    from fedad.dp.public import public_of

    monkeypatch.setattr(discriminator, "public_of", public_of)
    with pytest.raises(ConfigError, match="no public projection of backbone tiny"):
        fit(private(), plant, embed)
