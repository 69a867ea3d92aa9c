"""Moments of many sites, added, are those of one site with all points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.averaging.moments import (
    Moments,
    mean_and_covariance,
    moments_of,
    principal_axes,
    square,
    triangle,
)


def points(seed, n=60, d=5):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3).astype(np.float32)


def added(parts, d=5):
    total = moments_of([], d)
    for part in parts:
        total = total.plus(moments_of([part], d))
    return total


@given(st.lists(st.integers(1, 59), max_size=4, unique=True), st.integers(0, 99))
def test_parts_add_up_to_the_whole_however_they_are_cut(cuts, seed):
    whole = points(seed)
    one = mean_and_covariance(moments_of([whole], 5))
    other = mean_and_covariance(added(np.split(whole, sorted(cuts))))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def test_mean_and_covariance_are_numpys():
    mean, covariance = mean_and_covariance(moments_of([points(1)], 5))
    exact = points(1).astype(float)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(exact.T, bias=True), rtol=1e-10)


def test_axes_are_those_of_the_singular_values_up_to_sign():
    mean, axes = principal_axes(moments_of([points(2)], 5), 3)
    exact = points(2).astype(float)
    _, _, rows = np.linalg.svd(exact - exact.mean(0), full_matrices=False)
    np.testing.assert_allclose(mean, exact.mean(0))
    np.testing.assert_allclose(np.abs(axes.T @ rows[:3].T), np.eye(3), atol=1e-8)
    largest = np.abs(axes).argmax(0)
    assert (axes[largest, range(3)] > 0).all()


@given(st.integers(1, 9))
def test_a_triangle_is_half_of_a_symmetric_matrix(size):
    half = np.random.default_rng(size).normal(size=(size, size))
    matrix = half + half.T
    np.testing.assert_array_equal(square(triangle(matrix)), matrix)


def test_what_is_no_triangle_is_refused():
    with pytest.raises(ValueError, match="4 values are no triangle"):
        square(np.zeros(4))


def test_nothing_adds_nothing():
    some = moments_of([points(3)], 5)
    none = Moments(0, np.zeros(5), np.zeros(15))
    for mine, theirs in zip(some.plus(none), some, strict=True):
        np.testing.assert_array_equal(mine, theirs)
