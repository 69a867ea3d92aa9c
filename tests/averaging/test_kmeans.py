"""Weighted k-means against its definition, and where it is easy to go wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.averaging.kmeans import assigned, kmeans, lloyd, means, plus_plus


def drawn(seed, count=60, features=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, features)).astype(np.float32), rng.uniform(0.5, 4, count)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_centres_are_means_of_points_that_are_nearest_to_them(seed, size):
    points, weights = drawn(seed)
    points = points.astype(float)
    found = kmeans(points, weights, size, rng=np.random.default_rng(seed), iterations=500)
    for _ in range(30):  # each ends when the error hardly falls
        found = lloyd(points, weights, found.centres, iterations=500)
    gaps = np.linalg.norm(points[:, None] - found.centres[None], axis=2) ** 2
    np.testing.assert_allclose(gaps[np.arange(60), found.labels], gaps.min(1), atol=1e-9)
    for k, centre in enumerate(found.centres):
        mine = found.labels == k
        mean = np.average(points[mine].astype(float), axis=0, weights=weights[mine])
        np.testing.assert_allclose(centre, mean, atol=1e-9)
    assert found.error == pytest.approx(np.average(gaps.min(1), weights=weights))


def test_a_weight_of_three_is_a_point_that_comes_three_times():
    points, _ = drawn(0)
    counts = np.random.default_rng(1).integers(1, 4, len(points))
    one = lloyd(points, counts.astype(float), points[:5], iterations=100)
    many = lloyd(np.repeat(points, counts, 0), np.ones(counts.sum()), points[:5], iterations=100)
    np.testing.assert_allclose(one.centres, many.centres, atol=1e-9)


def test_the_same_stream_gives_the_same_bytes_and_more_starts_are_no_worse():
    points, weights = drawn(2, 200)
    found = [kmeans(points, weights, 9, rng=np.random.default_rng(5)) for _ in range(2)]
    assert found[0].centres.tobytes() == found[1].centres.tobytes()
    best = kmeans(points, weights, 9, rng=np.random.default_rng(5), restarts=4)
    assert best.error <= found[0].error


def test_a_start_has_no_point_twice_and_prefers_what_is_far_and_heavy():
    rng = np.random.default_rng(3)
    points = np.concatenate([np.zeros((50, 2)), np.ones((50, 2)), [[100.0, 0.0]]])
    starts = [plus_plus(points, np.ones(101), 2, rng) for _ in range(100)]
    assert all(len(np.unique(start, axis=0)) == 2 for start in starts)
    assert sum((start == 100).any() for start in starts) > 95
    heavy = np.r_[np.full(50, 1e9), np.ones(51)]
    assert sum((plus_plus(points, heavy, 1, rng) == 0).all() for _ in range(100)) > 95


@pytest.mark.parametrize("size", [4, 7, 50])
def test_points_that_come_often_are_one_cluster_and_there_are_no_empty_ones(size):
    points = np.repeat(np.arange(4.0)[:, None] * [1, 2], 10, axis=0)
    found = kmeans(points, np.ones(40), size, rng=np.random.default_rng(0))
    assert sorted(found.centres[:, 0]) == [0, 1, 2, 3]
    assert found.error == 0
    assert set(found.labels) == {0, 1, 2, 3}


def test_an_empty_cluster_takes_the_point_that_is_farthest_off():
    points = np.array([[0.0], [1.0], [10.0]])
    found = lloyd(points, np.ones(3), np.array([[0.0], [-500.0]]), iterations=10)
    assert sorted(found.centres[:, 0]) == [0.5, 10.0]
    assert found.labels.tolist() in ([0, 0, 1], [1, 1, 0])


def test_without_iterations_points_are_assigned_and_no_centre_moves():
    points, weights = drawn(4)
    found = lloyd(points, weights, points[:6], iterations=0)
    np.testing.assert_array_equal(found.centres, points[:6])
    labels, squares = assigned(points, points[:6].astype(float))
    np.testing.assert_array_equal(found.labels, labels)
    assert found.error == pytest.approx(np.average(squares, weights=weights))


def test_means_add_in_the_order_of_the_points():
    points, weights = drawn(5)
    labels = np.arange(60) % 7
    expected = [
        np.average(points[labels == k].astype(float), 0, weights[labels == k]) for k in range(7)
    ]
    np.testing.assert_allclose(means(points, weights, labels, 7), expected, atol=1e-12)
