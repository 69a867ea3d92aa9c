"""Memories stand for all their points, and lie on the sphere."""

import numpy as np
import pytest

from fedad.averaging.memories import FARTHEST, joined, moved, reduced, standing_for, unit


def sphere(count, seed=0, size=5):
    return unit(np.random.default_rng(seed).normal(size=(count, size)))


@pytest.mark.parametrize("tau", [0.1, 1.0, 1e6])
def test_a_row_is_a_weighted_average_of_the_points_it_stands_for(tau):
    points = sphere(80)
    rows, counts = reduced(points, points[:6], passes=3, tau=tau)
    assert counts.sum() == 80
    assert counts.min() >= 1
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    if tau == 1e6:  # all points of a group count alike
        labels = np.linalg.norm(points[:, None] - rows, axis=2).argmin(1)
        assert len(np.unique(labels)) == len(rows)
    sharper, _ = reduced(points, points[:6], passes=3, tau=1e-3)
    gaps = np.linalg.norm(points[:, None] - sharper, axis=2).min(0)
    assert (np.sort(gaps) >= 0).all()


def test_an_average_of_several_points_is_none_of_them():
    points = sphere(200)
    rows, counts = reduced(points, points[:10], passes=2, tau=1.0)
    gaps = np.linalg.norm(points[:, None] - rows, axis=2).min(0)
    assert gaps[counts > 1].min() > 1e-3
    np.testing.assert_allclose(gaps[counts == 1], 0, atol=1e-6)


def test_points_that_are_all_the_same_are_one_row():
    rows, counts = reduced(np.repeat(sphere(1), 9, 0), sphere(4, 1), passes=3, tau=1.0)
    np.testing.assert_allclose(rows, sphere(1), atol=1e-6)
    assert counts.tolist() == [9]


def test_rows_stand_for_the_points_nearest_to_them():
    points = np.eye(3, dtype=np.float32)
    rows, counts = standing_for(points, points[[0, 2]], np.array([5, 1, 7]))
    assert counts.sum() == 13
    assert rows.tolist() == points[[0, 2]].tolist()
    rows, counts = standing_for(points[:1], points, np.array([4]))
    assert counts.tolist() == [4]


@pytest.mark.parametrize("how", ["kmeans", "kcenter", "uniform"])
def test_joined_memories_stand_for_all_and_have_at_most_so_many_rows(how):
    points, counts = sphere(60), np.arange(1, 61)
    found = [
        joined(points, counts, counts / 60, 12, how, rng=np.random.default_rng(3)) for _ in "ab"
    ]
    rows, stands = found[0]
    assert len(rows) == 12
    assert stands.sum() == counts.sum()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows.tobytes() == found[1][0].tobytes()
    if how != "kmeans":
        assert all(np.abs(points - row).max(1).min() < 1e-6 for row in rows)


def test_where_all_have_room_all_stay():
    points, counts = sphere(7), np.arange(1, 8)
    rows, stands = joined(points, counts, counts * 1.0, 7, "kmeans", rng=np.random.default_rng(0))
    np.testing.assert_allclose(rows, points, atol=1e-6)
    assert stands.tolist() == counts.tolist()


def test_how_far_a_memory_moved_is_the_hausdorff_distance():
    before, after = sphere(9), sphere(7, 1)
    gaps = np.linalg.norm(before[:, None] - after, axis=2)
    assert moved(before, after) == pytest.approx(max(gaps.min(1).max(), gaps.min(0).max()))
    assert moved(before, before) == pytest.approx(0, abs=1e-6)
    assert moved(before[:0], after) == FARTHEST
