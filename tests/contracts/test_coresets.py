"""Every way of choosing, found by its file name, keeps the same promises."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedad.coresets import kcenter as kcenter_file
from fedad.coresets.kcenter import kcenter
from fedad.plugins import names, plugin

POINTS = arrays(
    np.float64,
    st.tuples(st.integers(1, 9), st.integers(1, 3)),
    elements=st.integers(-50, 50).map(float),
)


def plain(points, size, kept):
    """The obvious loop: always the point farthest from all kept ones, the lowest row of equals."""
    points = points.astype(np.float64)
    rows, gap = list(kept), np.full(len(points), np.inf)
    for row in kept:
        gap = np.minimum(gap, np.square(points - points[row]).sum(axis=1))
    while len(rows) < size:
        gap[rows] = -1
        rows.append(int(gap.argmax()))
        gap = np.minimum(gap, np.square(points - points[rows[-1]]).sum(axis=1))
    return np.array(rows)


@pytest.mark.parametrize("name", names("coresets"))
@given(points=POINTS, data=st.data())
def test_keeps_distinct_rows_opens_with_the_kept_ones_and_repeats(name, points, data):
    select = plugin("coresets", name)
    size = data.draw(st.integers(1, len(points)))
    kept = data.draw(st.lists(st.integers(0, len(points) - 1), max_size=size, unique=True))
    rows = select(points, size, rng=np.random.default_rng(0), kept=kept)
    again = select(points, size, rng=np.random.default_rng(0), kept=kept)
    assert len(set(rows.tolist())) == size
    assert rows.min() >= 0
    assert rows.max() < len(points)
    assert rows[: len(kept)].tolist() == kept
    np.testing.assert_array_equal(rows, again)


@pytest.mark.parametrize("name", names("coresets"))
@pytest.mark.parametrize(("size", "kept"), [(0, ()), (4, ()), (1, (0, 1)), (3, (1, 1))])
def test_refuses_what_it_cannot_keep(name, size, kept):
    with pytest.raises(ValueError, match=r"keep|kept"):
        plugin("coresets", name)(np.eye(3), size, rng=np.random.default_rng(0), kept=kept)


@given(points=POINTS, data=st.data())
def test_kcenter_is_within_twice_the_best_radius(points, data):
    size = data.draw(st.integers(1, len(points)))
    best = min(radius(points, list(rows)) for rows in combinations(range(len(points)), size))
    assert radius(points, kcenter(points, size, rng=np.random.default_rng(1))) <= 2 * best + 1e-9


def radius(points, rows):
    """The obvious definition: the distance of the worst covered point."""
    return max(min(np.linalg.norm(p - points[r]) for r in rows) for p in points)


@pytest.fixture
def small_rounds(monkeypatch):
    """Rounds and blocks of a few points, so that small inputs take every path."""
    for name in ("ACTIVE", "BATCH", "BLOCK"):
        monkeypatch.setattr(kcenter_file, name, 4)
    monkeypatch.setattr(kcenter_file, "LEAST", 2)


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 4))
KINDS = {
    "ties everywhere": lambda rng, n, d: rng.integers(-2, 3, (n, d)).astype(np.float32),
    "float32": lambda rng, n, d: rng.normal(size=(n, d)).astype(np.float32),
    "far from zero": lambda rng, n, d: rng.normal(size=(n, d)) * 1e3 + 1e7,
    "each point thrice": lambda rng, n, d: np.repeat(rng.normal(size=(n, d)), 3, axis=0),
    "one point": lambda rng, n, d: np.ones((n, d), np.float32),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("small_rounds")
def test_kcenter_is_the_plain_loop_index_by_index(kind):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        points = KINDS[kind](rng, *rng.integers(1, (40, 5)))
        size = int(rng.integers(1, len(points) + 1))
        kept = rng.permutation(len(points))[: rng.integers(1, size + 1)].tolist()
        expected = plain(points, size, kept)
        np.testing.assert_array_equal(kcenter(points, size, rng=rng, kept=kept), expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_kcenter_at_full_size_is_the_plain_loop_at_any_number_of_threads(threads):
    import torch

    rng = np.random.default_rng(0)
    points = (rng.normal(size=(6000, 8)) @ rng.normal(size=(8, 24)) + 30).astype(np.float32)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows = kcenter(points, 600, rng=rng, kept=(7,))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(rows, plain(points, 600, (7,)))


@given(
    since=st.lists(st.integers(0, 700), min_size=1, max_size=12).map(sorted),
    more=st.integers(0, 700),
    most=st.integers(1, 300),
)
def test_each_point_is_compared_with_all_kept_rows_that_it_has_not_seen(since, more, most):
    search = kcenter_file._Search.__new__(kcenter_file._Search)
    search.count = since[-1] + more
    blocks = list(search._unseen(since, most))
    assert all(0 < new.stop - new.start <= most for new in blocks)
    rows = [row for new in blocks for row in range(new.start, new.stop)]
    assert rows == list(range(since[0], search.count))
    for seen in since:
        compared = sum(new.stop - new.start for new in blocks if seen < new.stop)
        assert 0 <= compared - (search.count - seen) < max(most, kcenter_file.LEAST)


@pytest.mark.parametrize(
    ("count", "width", "least", "most"),
    [(100, 8, 0, 2**17), (8250, 152, 2**21, 2**22), (60_000, 152, 7 * 2**20, 2**23)],
)
def test_a_block_of_distances_follows_the_bytes_of_the_points(count, width, least, most):
    import torch

    points = np.zeros((count, width), np.float32)
    search = kcenter_file._Search(points, 10, torch.device("cpu"), kcenter_file.WORKSPACE)
    assert least <= search.scratch.nbytes <= most


@pytest.mark.parametrize("workspace", [1000, 50_000])
def test_kcenter_keeps_the_same_rows_in_any_workspace(workspace):
    points = np.random.default_rng(1).normal(size=(900, 6)).astype(np.float32)
    rows = kcenter(points, 200, rng=np.random.default_rng(0), kept=(3,), workspace=workspace)
    np.testing.assert_array_equal(rows, plain(points, 200, (3,)))


@settings(max_examples=30)
@given(points=arrays(np.float32, SHAPES, elements=st.floats(-8, 8, width=32)), data=st.data())
def test_a_prefix_is_a_smaller_coreset(points, data):
    size = data.draw(st.integers(1, len(points)))
    whole = kcenter(points, len(points), rng=np.random.default_rng(0), kept=(0,))
    part = kcenter(points, size, rng=np.random.default_rng(0), kept=(0,))
    np.testing.assert_array_equal(part, whole[:size])


def test_points_that_are_not_finite_are_refused():
    points = np.ones((5, 2), np.float32)
    points[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        kcenter(points, 2, rng=np.random.default_rng(0))
