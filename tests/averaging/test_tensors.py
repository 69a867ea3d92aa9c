"""Averages of weights: FedAvg's is exact, the robust ones hold against one site."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.averaging.tensors import averaged
from fedad.methods.discriminator import Heads
from tests.conftest import MARK


def heads(value, site="lyon", images=3):
    rng = np.random.default_rng(int(value * 1000) % 2**31)
    shapes = {
        "adapt": (1, 2, 2),
        "shift": (1, 2),
        "hidden": (1, 3, 2),
        "offset": (1, 3),
        "gain": (1, 3),
        "bias": (1, 3),
        "out": (1, 3),
    }
    layers = {n: (value + rng.normal(size=s)).astype(np.float32) for n, s in shapes.items()}
    return Heads(
        **layers,
        images=np.array([images]),
        categories=("bolt",),
        sites=(site,),
        fingerprint=MARK,
    )


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=6))
def test_the_mean_is_numpys_in_float64(weights):
    some = [heads(k) for k in range(len(weights))]
    found = averaged(some, weights)
    for name in ("adapt", "out"):
        stack = np.stack([getattr(one, name) for one in some]).astype(float)
        expected = np.average(stack, axis=0, weights=weights)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-6, atol=1e-6)
    assert found.images.tolist() == [3]


@pytest.mark.parametrize("how", ["mean", "median", "trimmed"])
def test_equal_sites_are_what_they_all_are(how):
    one = heads(2.0)
    found = averaged([one, one, one], [1.0, 5.0, 2.0], how)
    np.testing.assert_allclose(found.hidden, one.hidden, rtol=1e-6)


@pytest.mark.parametrize("how", ["mean", "median", "trimmed"])
def test_who_weighs_nothing_has_no_say(how):
    found = averaged([heads(1.0), heads(9.0), heads(1.0)], [1.0, 0.0, 1.0], how)
    np.testing.assert_array_equal(found.out, heads(1.0).out)


@pytest.mark.parametrize("how", ["median", "trimmed"])
def test_one_site_of_three_cannot_move_a_value_beyond_the_others(how):
    honest = [heads(1.0), heads(1.5)]
    for lie in (-1e4, 1e4):
        found = averaged(
            [*honest, heads(1.0).replace(out=np.full((1, 3), lie, np.float32))],
            [1.0, 1.0, 1e9],
            how,
        )
        low, high = (f(np.stack([one.out for one in honest]), axis=0) for f in (np.min, np.max))
        assert (low - 1e-6 <= found.out).all()
        assert (found.out <= high + 1e-6).all()
    assert abs(averaged([*honest, heads(1e4)], [1, 1, 1e9]).out).max() > 1000
