"""Every way of scoring, found by its file name, keeps the same promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedad.plugins import names, plugin
from fedad.scoring import nearest as nearest_file
from fedad.scoring._images import full_size, image_scores
from fedad.scoring.base import Nearest
from fedad.scoring.nearest import nearest
from tests.conftest import bank_of

FLOATS = st.floats(-100, 100, width=32)


@pytest.mark.parametrize("name", names("scoring"))
def test_a_patch_that_is_a_row_scores_nothing_and_far_ones_score_more(name):
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    found = plugin("scoring", name)(bank_of(rows), np.concatenate([rows[3:4], rows[3:4] + 100]))
    assert found.distance[0] == 0
    assert found.distance[1] > 50
    assert found.distance.dtype == np.float32


@given(
    rows=arrays(np.float32, st.tuples(st.integers(1, 9), st.just(3)), elements=FLOATS),
    patches=arrays(np.float32, st.tuples(st.integers(0, 9), st.just(3)), elements=FLOATS),
)
def test_nearest_is_the_least_of_all_distances(rows, patches):
    found = nearest(bank_of(rows), patches)
    every = np.linalg.norm(patches[:, None].astype(float) - rows[None], axis=2)
    np.testing.assert_allclose(found.distance, every.min(1), rtol=1e-3, atol=1e-3)


def test_nearest_does_not_cancel_far_from_zero(monkeypatch):
    monkeypatch.setattr(nearest_file, "PATCHES", 7)
    monkeypatch.setattr(nearest_file, "ROWS", 5)
    rng = np.random.default_rng(1)
    rows = (1e4 + rng.normal(size=(23, 6))).astype(np.float32)
    patches = (1e4 + rng.normal(size=(31, 6))).astype(np.float32)
    every = np.linalg.norm(patches[:, None].astype(float) - rows[None], axis=2)
    found = nearest(bank_of(rows), patches)
    np.testing.assert_array_equal(found.row, every.argmin(1))
    np.testing.assert_allclose(found.distance, every.min(1), rtol=1e-6)


def test_an_image_scores_its_worst_patch():
    found = Nearest(np.array([1, 5, 2, 7, 3, 4], np.float32), np.zeros(6, int))
    scores = image_scores(found, np.zeros((6, 2)), np.zeros((1, 2)), per_image=3, neighbours=1)
    assert scores.tolist() == [5, 7]


def test_neighbourhood_weighting_is_equation_7_of_the_paper():
    rows = np.array([[0, 0], [1, 0], [0, 2], [9, 9]], np.float32)
    patch = np.array([[3, 0]], np.float32)
    found = nearest(bank_of(rows), patch)
    (score,) = image_scores(found, patch, rows, per_image=1, neighbours=3)
    around = np.linalg.norm(rows[[1, 0, 2]] - patch, axis=1)  # the 3 rows nearest to row 1
    expected = (1 - np.exp(around[0]) / np.exp(around).sum()) * 2
    assert score == pytest.approx(expected)


def test_a_map_is_resized_and_smoothed_but_never_stretched():
    flat = full_size(np.full((4, 4), 3, np.float32), (50, 70), side=32, sigma=4)
    assert flat.shape == (50, 70)
    np.testing.assert_allclose(flat, 3, rtol=1e-6)
    peak = np.zeros((8, 8), np.float32)
    peak[2, 5] = 1
    large = full_size(peak, (80, 160), side=64, sigma=2)
    row, column = np.unravel_index(large.argmax(), large.shape)
    assert abs(row - 25) <= 2
    assert abs(column - 110) <= 3
    assert 0.2 < large.max() < 1
