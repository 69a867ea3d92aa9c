"""Axes as reflections: orthonormal whatever the bytes, and near those that they were made of."""

import numpy as np
import pytest

from fedad.banks.axes import STEPS, axes_of, length, reflections

SHAPES = [(1, 0), (1, 1), (5, 3), (12, 12), (152, 40), (152, 152)]


def orthonormal(features, axes, seed=0):
    found, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(features, features)))
    return found[:, :axes]


def one_by_one(numbers, features, axes):
    """The same by its definition: one reflection after the other."""
    found, values = np.eye(features), numbers / STEPS
    for k in range(axes):
        v = np.zeros(features)
        v[k], v[k + 1 :] = 1, values[: features - k - 1]
        values = values[features - k - 1 :]
        found = found @ (np.eye(features) - 2 * np.outer(v, v) / (v @ v))
    return found[:, :axes]


@pytest.mark.parametrize(("features", "axes"), SHAPES)
def test_axes_are_those_of_one_reflection_after_the_other(features, axes):
    numbers = reflections(orthonormal(features, axes))
    assert (numbers.dtype, len(numbers)) == (np.int8, length(features, axes))
    assert np.abs(numbers.astype(int)).max(initial=0) <= STEPS
    found = axes_of(numbers, features, axes)
    np.testing.assert_allclose(found, one_by_one(numbers, features, axes), atol=1e-12)


@pytest.mark.parametrize(("features", "axes"), SHAPES)
@pytest.mark.parametrize("what", ["drawn", "least", "most", "of both signs", "zeros"])
def test_axes_of_any_numbers_are_orthonormal(features, axes, what):
    count = length(features, axes)
    drawn = np.random.default_rng(1).integers(-128, 128, count)
    signs = np.where(np.arange(count) % 2, 127, -128)
    numbers = {
        "drawn": drawn,
        "least": np.full(count, -128),
        "most": np.full(count, 127),
        "of both signs": signs,
        "zeros": np.zeros(count),
    }[what].astype(np.int8)
    found = axes_of(numbers, features, axes)
    np.testing.assert_allclose(found.T @ found, np.eye(axes), atol=1e-9)


@pytest.mark.parametrize(("features", "axes"), SHAPES)
def test_axes_are_near_those_that_they_were_made_of_whatever_their_signs(features, axes):
    """Errors do not add up: the last axis is as near as the first."""
    wanted = orthonormal(features, axes)
    numbers = reflections(wanted)
    along = np.abs(np.einsum("dp,dp->p", wanted, axes_of(numbers, features, axes)))
    assert along.min(initial=1) > 0.98
    np.testing.assert_array_equal(reflections(-wanted), numbers)


def test_fewer_axes_are_the_first_numbers():
    wanted = orthonormal(12, 12)
    numbers = reflections(wanted)
    np.testing.assert_array_equal(reflections(wanted[:, :4]), numbers[: length(12, 4)])
    few = axes_of(numbers[: length(12, 4)], 12, 4)
    np.testing.assert_allclose(few, axes_of(numbers, 12, 12)[:, :4], atol=1e-12)
