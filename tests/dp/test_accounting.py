"""What receipts cost together: three accountants agree, and the unknown is refused."""

import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.dp.accounting import ANALYTIC, PLD, PRV, charged, epsilon
from fedad.dp.gaussian import delta_of, epsilon_of, multiplier, together
from fedad.dp.levels import LEVELS, noises
from fedad.dp.receipts import (
    Gaussians,
    Receipt,
    ReceiptError,
    SampledGaussians,
    Unprotected,
    as_json,
    receipt_from,
)
from fedad.errors import ConfigError

DELTA = 1e-5
IMAGES = {"bolt": 300}


def gaussians(noise, *, private=True):
    return Gaussians("any", IMAGES, 1.0, DELTA, "image", tuple(noise), private)


def sampled(noise, rate, steps, *, private=True):
    return SampledGaussians("any", IMAGES, 1.0, DELTA, "image", noise, rate, steps, private)


def tree(asked):
    return gaussians(noises(LEVELS["positions"], 1 / multiplier(asked, DELTA)))


@pytest.mark.parametrize(("asked", "noise"), [(1, 3.7306), (2, 1.9938), (5, 0.8919), (10, 0.4999)])
def test_the_noise_of_one_gaussian(asked, noise):
    assert multiplier(asked, DELTA) == pytest.approx(noise, abs=6e-5)


@given(st.floats(0.01, 50), st.floats(1e-12, 1e-3))
def test_noise_costs_what_was_asked_for_and_not_more(asked, delta):
    mu = 1 / multiplier(asked, delta)
    assert epsilon_of(mu, delta) == pytest.approx(asked, rel=1e-6)
    assert delta_of(asked, mu) <= delta * (1 + 1e-9)


def test_the_curve_is_that_of_two_normal_distributions():
    """delta is the largest P(X in S) - e^eps Q(X in S); S is where the densities' ratio is above
    e^eps: summed here over a fine grid."""
    import numpy as np
    from scipy.stats import norm

    mu, eps = 0.8, 1.2
    x = np.linspace(-12, 12, 480_001)
    gap = norm.pdf(x, mu) - math.exp(eps) * norm.pdf(x)
    assert delta_of(eps, mu) == pytest.approx(np.clip(gap, 0, None).sum() * (x[1] - x[0]), rel=1e-6)


@pytest.mark.parametrize(("asked", "twice"), [(1, 1.47), (2, 2.95), (5, 7.54), (10, 15.5)])
def test_a_release_costs_what_was_asked_for_and_two_cost_less_than_twice(asked, twice):
    one, two = (epsilon([tree(asked)] * count, DELTA) for count in (1, 2))
    for spent, figure, rounding in ((one, asked, 1e-3), (two, twice, 5e-3)):
        assert spent.accountant == ANALYTIC
        assert {*spent.by_accountant} == {ANALYTIC, PLD, PRV}
        for of_one in spent.by_accountant.values():
            assert of_one == pytest.approx(spent.epsilon, rel=0.01)
        assert spent.epsilon == pytest.approx(figure, rel=rounding)


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "about"), [(5.86, 0.21, 50, 0.98), (1.04, 0.21, 50, 9.9)]
)
def test_of_samples_the_larger_of_two_that_agree_is_charged(noise, rate, steps, about):
    spent = epsilon([sampled(noise, rate, steps)], DELTA)
    assert {*spent.by_accountant} == {PLD, PRV}
    assert spent.by_accountant[PLD] == pytest.approx(spent.by_accountant[PRV], rel=0.01)
    assert spent.epsilon == max(spent.by_accountant.values()) == pytest.approx(about, rel=0.02)
    assert charged([sampled(noise, rate, steps)], DELTA) == spent


def test_kinds_compose_and_steps_over_all_units_are_gaussians():
    alone = epsilon([sampled(3.0, 1.0, 4)], DELTA)
    assert alone.accountant == ANALYTIC
    assert alone.epsilon == pytest.approx(epsilon([gaussians([3.0] * 4)], DELTA).epsilon)
    both = epsilon([tree(1), sampled(5.86, 0.21, 50)], DELTA)
    assert both.by_accountant[PLD] == pytest.approx(both.by_accountant[PRV], rel=0.01)
    assert 1.2 < both.epsilon < 1 + 0.98


@given(st.lists(st.floats(0.5, 50), min_size=1, max_size=6))
def test_what_is_drawn_in_one_receipt_or_in_several_costs_the_same(noise):
    apart = charged([gaussians([one]) for one in noise], DELTA).epsilon
    assert charged([gaussians(noise)], DELTA).epsilon == pytest.approx(apart, rel=1e-9, abs=1e-12)
    assert apart == pytest.approx(epsilon_of(together(noise), DELTA), rel=1e-9, abs=1e-12)
    assert charged([gaussians([*noise, 9.0])], DELTA).epsilon >= apart


def test_nothing_costs_nothing():
    assert charged([], DELTA).epsilon == epsilon([], DELTA).epsilon == 0


@pytest.mark.parametrize(
    "receipt",
    [
        Unprotected("keep", IMAGES),
        gaussians([3.0], private=False),
        sampled(3.0, 0.1, 5, private=False),
        gaussians([3.0, 0.0]),
        sampled(0.0, 0.1, 5),
    ],
)
def test_what_is_not_protected_costs_infinity_whatever_is_beside_it(receipt):
    for receipts in ([receipt], [tree(1), receipt], [receipt, sampled(5.86, 0.21, 50)]):
        assert charged(receipts, DELTA).epsilon == math.inf
        assert epsilon(receipts, DELTA).epsilon == math.inf


class Laplaces(Receipt):
    pass


@pytest.mark.parametrize(
    "receipt",
    [
        Receipt("any", IMAGES),
        Laplaces("any", IMAGES),
        {"kind": "Gaussians"},
        gaussians([]),
        gaussians([-1.0]),
        gaussians([math.nan]),
        gaussians([math.inf]),
        sampled(1.0, 0.0, 5),
        sampled(1.0, 1.1, 5),
        sampled(1.0, 0.1, -5),
    ],
)
def test_what_nobody_knows_is_refused_and_never_free(receipt):
    for receipts in ([receipt], [Unprotected("keep", IMAGES), receipt]):
        with pytest.raises(ReceiptError, match="cannot account for"):
            charged(receipts, DELTA)


@pytest.mark.parametrize("receipt", [Unprotected("keep", IMAGES), tree(2), sampled(1.04, 0.21, 50)])
def test_a_receipt_comes_back_from_its_file(receipt):
    assert receipt_from(json.loads(json.dumps(as_json(receipt)))) == receipt


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Laplaces"},
        {"kind": None},
        {"noise": "3.0"},
        {"noise": [None]},
        {"private": "yes"},
        {"private": 1},
        {"unit": "pixel"},
        {"clip": 1.0},
    ],
)
def test_a_receipt_of_another_kind_or_form_is_refused(change):
    with pytest.raises(ReceiptError, match="a receipt"):
        receipt_from({**as_json(tree(1)), **change})


def test_a_receipt_that_lacks_something_is_refused():
    told = as_json(tree(1))
    del told["private"]
    with pytest.raises(ReceiptError, match="private"):
        receipt_from(told)


@pytest.mark.parametrize("package", ["opacus", "dp_accounting"])
def test_a_site_without_the_other_accountants_can_still_be_charged_for_gaussians(
    package, monkeypatch
):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert charged([tree(1)], DELTA).epsilon == pytest.approx(1)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'fedad\[privacy\]'"):
        charged([sampled(5.86, 0.21, 50)], DELTA)
