"""DP-SGD: each image's gradient is clipped, the noise is as stated, all steps cost the budget."""

import builtins
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from fedad.dp.accounting import charged
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.dp.sgd import AT_ONCE, Budget, Steps, noise_multiplier, train
from fedad.errors import ConfigError

FEATURES = 5


class Scripted:
    """In each step the images of `chosen` are in; the noise is `value` everywhere."""

    private = False

    def __init__(self, chosen, images, value=0.0):
        self.chosen, self.images, self.value = iter(chosen), images, value

    def normal(self, shape):
        if shape != (self.images,):
            return np.full(shape, self.value)
        drawn = np.full(self.images, 9.0)  # the others' probability would be 1
        drawn[next(self.chosen)] = -9.0
        return drawn


def slope(module, images, step):
    """The loss whose gradient by the one weight is the image itself."""
    return module(images)[:, 0]


def moved_by(images, noise, /, *, steps=1, multiplier=0.0, **changed):
    """By how much steps of plain descent at the rate 1 move the weights of a linear layer."""
    layer = nn.Linear(FEATURES, 1, bias=False).double()
    before = layer.weight.detach().numpy().copy()
    budget = Budget(**{"batch": 1, "images": 2, **changed})
    plan = Steps(multiplier, budget.rate, steps)
    descent = partial(torch.optim.SGD, lr=1.0)
    train(layer, images, slope, descent, budget=budget, steps=plan, noise=noise)
    return (layer.weight.detach().numpy() - before)[0]


def drawn(count, longest=1e6):
    rng = np.random.default_rng(0)
    return (rng.normal(size=(count, FEATURES)) * rng.uniform(0.1, longest, (count, 1))).astype("f4")


@pytest.mark.parametrize("clip", [0.1, 1.0, 7.0])
def test_no_image_moves_the_sum_by_more_than_the_clip(clip):
    images = np.concatenate([drawn(60), np.full((1, FEATURES), 3e38, "f4"), np.zeros((1, 5), "f4")])
    for k in range(len(images)):
        moved = moved_by(images, Scripted([[k]], len(images)), clip=clip)
        assert np.linalg.norm(moved) <= clip
    one = moved_by(images, Scripted([[0]], len(images)), clip=clip)
    np.testing.assert_allclose(one, -clip * images[0] / np.linalg.norm(images[0]), rtol=1e-5)


def test_an_image_that_is_longer_than_the_clip_is_clipped_and_a_shorter_one_is_not():
    images = np.array([[0.3, 0, 0, 0, 0], [30, 40, 0, 0, 0]], "f4")
    moved = moved_by(images, Scripted([[0, 1]], 2), batch=1)
    np.testing.assert_allclose(moved, [-0.9, -0.8, 0, 0, 0], atol=1e-6)


def test_the_sum_is_over_single_images_whatever_is_in_memory_together():
    images = drawn(3 * AT_ONCE + 1, longest=1)
    every = moved_by(images, Scripted([range(len(images))], len(images)))
    alone = [moved_by(images, Scripted([[k]], len(images))) for k in range(len(images))]
    np.testing.assert_allclose(every, np.sum(alone, 0), rtol=1e-9)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_broken_moves_nothing_and_spoils_no_other(broken):
    images = drawn(3)
    images[1, 2] = broken
    moved = moved_by(images, Scripted([[0, 1, 2]], 3))
    np.testing.assert_allclose(moved, moved_by(images, Scripted([[0, 2]], 3)), rtol=1e-12)


def test_a_step_without_images_is_noise_alone():
    moved = moved_by(drawn(4), Scripted([[], [], []], 4, 2.0), steps=3, multiplier=5.0, clip=0.5)
    np.testing.assert_allclose(moved, np.full(FEATURES, -3 * 2.0 * 5.0 * 0.5), rtol=1e-12)


def test_what_is_divided_by_is_the_expected_number_not_the_one_that_came():
    images = np.full((6, FEATURES), 0.01, "f4")
    few, many = (moved_by(images, Scripted([range(n)], 6), batch=2, images=4) for n in (2, 6))
    np.testing.assert_allclose(3 * few, many, rtol=1e-6)
    np.testing.assert_allclose(few, -2 * images[0] / 2, rtol=1e-6)


def test_each_image_is_in_a_step_with_the_public_probability_whatever_their_number():
    for count in (50, 400):
        seen = []

        def losses(module, images, step, seen=seen):
            seen.append(len(images))
            return slope(module, images, step)

        layer = nn.Linear(FEATURES, 1, bias=False).double()
        budget = Budget(batch=30, images=100)
        plan = Steps(1.0, budget.rate, 40)
        descent = partial(torch.optim.SGD, lr=0.0)
        noise = SeededNoise(1)
        train(layer, drawn(count), losses, descent, budget=budget, steps=plan, noise=noise)
        deviation = (40 * count * 0.3 * 0.7) ** 0.5
        assert abs(sum(seen) - 40 * count * 0.3) < 5 * deviation


def test_the_noise_has_the_stated_deviation_in_every_weight_and_step():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(100, 100).double()

        def forward(self, images):
            return self.layer(images)

    module = Wide()
    before = [p.detach().numpy().copy() for p in module.parameters()]
    budget = Budget(clip=0.5, batch=10, images=1000)
    descent = partial(torch.optim.SGD, lr=10.0)  # times 1 / batch
    none = np.zeros((1, 100), np.float32)
    plan = Steps(3.0, budget.rate, 4)
    train(
        module,
        none,
        lambda m, x, step: 0 * m(x).sum(1),
        descent,
        budget=budget,
        steps=plan,
        noise=OsNoise(),
    )
    moved = np.concatenate(
        [(p.detach().numpy() - b).ravel() for p, b in zip(module.parameters(), before, strict=True)]
    )
    assert moved.std() == pytest.approx(3.0 * 0.5 * 2, rel=0.04)  # of the root of 4 steps
    assert abs(moved.mean()) < 5 * 3 / len(moved) ** 0.5


def test_a_layer_that_mixes_images_is_refused():
    module = nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4)).double()
    with pytest.raises(ValueError, match="BatchNorm"):
        train(
            *(module, drawn(2), slope, torch.optim.SGD),
            budget=Budget(),
            steps=Steps(1.0, 0.5, 1),
            noise=SeededNoise(0),
        )


@pytest.mark.parametrize(("epsilon", "known"), [(1, 5.86), (5, 1.61), (10, 1.04)])
def test_the_noise_is_what_is_known_of_305_images_64_at_a_time_in_50_steps(epsilon, known):
    assert noise_multiplier(epsilon, 1e-5, 64 / 305, 50) == pytest.approx(known, rel=0.02)


@pytest.mark.parametrize(("epsilon", "rounds"), [(1.0, 2), (8.0, 3)])
def test_the_receipts_of_all_rounds_cost_the_budget(epsilon, rounds):
    """Added up by whoever accounts for receipts, by two accountants: never more, hardly less."""
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed")
    budget = Budget(epsilon=epsilon, batch=50, images=300)
    number = budget.steps(epochs=2)
    assert number == 12
    plan = budget.planned(number, rounds * number)
    receipts = [budget.receipt("dp_sgd", plan, {"bolt": 7}, OsNoise()) for _ in range(rounds)]
    spent = charged(receipts, budget.delta)
    assert len(spent.by_accountant) == 2
    for found in spent.by_accountant.values():
        assert 0.99 * epsilon <= found <= epsilon
    assert charged(receipts[:1], budget.delta).epsilon < epsilon


def test_noise_that_a_seed_gives_costs_everything():
    budget, plan = Budget(), Steps(1.0, 0.2, 3)
    receipt = budget.receipt("dp_sgd", plan, {"bolt": 7}, SeededNoise(0))
    assert not receipt.private
    assert charged([receipt], budget.delta).epsilon == np.inf


def test_more_in_a_step_than_there_are_is_refused():
    with pytest.raises(ConfigError, match=r"dp_sgd\.batch = 65: .* dp_sgd\.images = 64"):
        Budget(batch=65, images=64).check()
    Budget(batch=64, images=64).check()


def test_without_opacus_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "opacus":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ConfigError, match=r"Opacus is not installed: pip install 'fedad\[privacy\]'"
    ):
        noise_multiplier(3.0, 1e-5, 0.1, 7)
