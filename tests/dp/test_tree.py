"""The tree: what one unit gives has length 1 at most, in the very numbers that are added."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedad.dp.levels import BLOCKS, LEVELS, Level
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.dp.public import Public
from fedad.dp.tree import GRID, Centres, Unit, contribution, cut, padded, refined, release, sums

D = 8
RNG = np.random.default_rng(0)
PUBLIC = Public(
    np.zeros(D, np.float32),
    np.eye(D, dtype=np.float32),
    RNG.normal(scale=3, size=(20, D)).astype(np.float32),
    radius=2.0,
    longest=30.0,
    step=2.0**-12,
    embedding={},
)
NOTHING = SeededNoise(0)
NOTHING.normal = np.zeros
COARSE = Level("positions", 1.0, 1.6)


def drawn(rng, patches=16):
    """One of many kinds of units, most of them hostile."""
    points = rng.normal(size=(patches, D)) * 10.0 ** rng.uniform(-3, 3)
    points += rng.normal(size=D) * rng.choice([0, 5, 1e4])
    blocks = rng.integers(BLOCKS * BLOCKS, size=patches)
    kind = rng.integers(9)
    if kind == 0:
        blocks[:] = 3
    elif kind == 1:
        blocks = rng.permutation(BLOCKS * BLOCKS)[:patches]
    elif kind == 2:
        points[:] = points[0]
    elif kind == 3:
        points *= 1e30
    elif kind == 4:
        points[rng.integers(patches)] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 5:
        points[:] = 0
    elif kind == 6:
        points, blocks = points[:1], blocks[:1]
    elif kind == 7:
        points[:] = np.nan
    return Unit(points.astype(np.float32), blocks)


def lengths(unit, level, centres, radius):
    cells_of, reference = cut(level, centres)
    given = contribution(unit, cells_of(unit), reference, radius)
    return exact(given.residuals), exact(given.masses)


def contributes(unit):
    """Whether a unit is more than nothing, and more than one point at the very reference."""
    return np.isfinite(unit.points).all(1).any() and unit.points.any()


def exact(values):
    """The squared length, in whole numbers of any size."""
    return sum(int(value) ** 2 for value in values.ravel())


def test_what_one_unit_gives_is_never_longer_than_the_sensitivity():
    rng = np.random.default_rng(5)
    levels = (*LEVELS["positions"], *LEVELS["codebook"])
    longest = [0, 0]
    with np.errstate(over="ignore"):
        units = [drawn(rng, int(rng.integers(1, 40))) for _ in range(10_000)]
    for number, unit in enumerate(units):
        level = levels[number % len(levels)]
        radius = level.radius * 10.0 ** rng.uniform(-3, 3)
        found = lengths(unit, level, PUBLIC.centres.astype(float), radius)
        assert max(found) <= GRID**2
        longest = np.maximum(longest, found)
    assert min(longest) > 0.999 * GRID**2  # the bound is met, so that no noise is wasted


FLOATS = st.floats(width=32)


@settings(max_examples=100)
@given(
    points=hnp.arrays(np.float32, (6, D), elements=FLOATS),
    blocks=hnp.arrays(np.int64, 6, elements=st.integers(0, BLOCKS * BLOCKS - 1)),
    radius=st.floats(1e-3, 1e3),
    level=st.sampled_from([*LEVELS["positions"], *LEVELS["codebook"]]),
)
def test_no_unit_is_longer_than_the_sensitivity(points, blocks, radius, level):
    found = lengths(Unit(points, blocks), level, PUBLIC.centres.astype(float), radius)
    assert max(found) <= GRID**2


def test_sums_are_those_of_the_formula():
    """By an obvious slow definition."""
    rng = np.random.default_rng(2)
    units = [Unit(rng.normal(size=(9, D)).astype(np.float32), rng.integers(4, size=9))]
    units += [Unit(rng.normal(size=(5, D)).astype(np.float32) * 9, rng.integers(4, size=5))]
    reference = rng.normal(size=(BLOCKS * BLOCKS, D))
    a, b = sums(units, lambda unit: unit.blocks, reference, 0.7)
    wanted_a, wanted_b = np.zeros(a.shape), np.zeros(b.shape)
    for unit in units:
        p = len(unit.points)
        v = np.zeros(a.shape)
        for k in range(4):
            inside = unit.points[unit.blocks == k]
            if len(inside):
                wanted_b[k] += np.sqrt(len(inside) / p)
                v[k] = (inside - reference[k]).sum(0) / np.sqrt(len(inside) * p)
        wanted_a += v * min(1, 0.7 / np.linalg.norm(v)) / 0.7
    np.testing.assert_allclose(a / GRID, wanted_a, atol=1e-5)
    np.testing.assert_allclose(b / GRID, wanted_b, atol=1e-5)


def test_without_one_unit_the_sums_of_each_level_differ_by_its_own_alone():
    rng = np.random.default_rng(4)
    units = [drawn(rng) for _ in range(12)]
    for levels in LEVELS.values():
        centres = PUBLIC.centres.astype(float)
        for number, level in enumerate(levels):
            cells_of, reference = cut(level, centres)
            radius = level.radius * PUBLIC.radius
            whole = sums(units, cells_of, reference, radius)
            for left_out in range(len(units)):
                rest = [unit for k, unit in enumerate(units) if k != left_out]
                for full, less in zip(whole, sums(rest, cells_of, reference, radius), strict=True):
                    assert 0 < exact(full - less) <= GRID**2 or not contributes(units[left_out])
            centres = release(units, PUBLIC, levels[: number + 1], 2.0, SeededNoise(1)).points


def test_a_unit_of_broken_patches_alone_gives_nothing():
    broken = Unit(np.full((4, D), np.nan, np.float32), np.zeros(4, np.int64))
    one = Unit(np.ones((4, D), np.float32), np.zeros(4, np.int64))
    cells_of, reference = cut(COARSE, PUBLIC.centres)
    for found in sums([broken], cells_of, reference, 1.0):
        assert not found.any()
    both = sums([one, broken], cells_of, reference, 1.0)
    for found, plain in zip(both, sums([one], cells_of, reference, 1.0), strict=True):
        np.testing.assert_array_equal(found, plain)


def test_the_order_of_units_changes_nothing():
    rng = np.random.default_rng(6)
    units = [drawn(rng) for _ in range(20)]
    for start in LEVELS:
        one = release(units, PUBLIC, LEVELS[start], 2.0, SeededNoise(1))
        other = release(units[::-1], PUBLIC, LEVELS[start], 2.0, SeededNoise(1))
        np.testing.assert_array_equal(one.points, other.points)
        np.testing.assert_array_equal(one.mass, other.mass)


@pytest.mark.parametrize("start", LEVELS)
@pytest.mark.parametrize("mu", [0.01, 2.0, 50.0])
def test_no_units_one_and_hostile_ones_are_released(start, mu):
    rng = np.random.default_rng(8)
    for units in ([], [drawn(rng)], [drawn(rng) for _ in range(30)]):
        found = release(units, PUBLIC, LEVELS[start], mu, OsNoise())
        assert len(found.points) >= 1
        assert np.isfinite(found.points).all()
        assert (np.diff(found.mass) <= 0).all()
        assert padded(found, 50, PUBLIC.longest).shape == (50, D)


def test_two_releases_of_the_same_images_differ():
    units = [drawn(np.random.default_rng(9)) for _ in range(5)]
    one, other = (release(units, PUBLIC, LEVELS["positions"], 2.0, OsNoise()) for _ in range(2))
    assert not np.array_equal(one.mass[:1], other.mass[:1])


def test_with_much_budget_the_centres_are_the_means_of_blocks():
    """The degenerate case: without noise, and with room for all, a level is plain averaging."""
    rng = np.random.default_rng(3)
    blocks = np.arange(32) // 8
    means = rng.normal(size=(4, D))
    units = [
        Unit((means[blocks] + 0.1 * rng.normal(size=(32, D))).astype(np.float32), blocks)
        for _ in range(50)
    ]
    found = release(units, PUBLIC, (Level("positions", 1.0, 50.0),), 1e6, OsNoise())
    for mean in means:  # those after the first four hold nothing, or noise
        assert np.linalg.norm(found.points[:4] - mean, axis=1).min() < 0.1
    np.testing.assert_allclose(found.mass[:4], 50 / 2, rtol=1e-3)
    assert (found.mass[4:] < 1e-3).all()


def test_a_cell_that_holds_only_noise_is_dropped_unless_all_do():
    reference = np.zeros((5, D))
    mass = np.array([9.0, 1.0, 1.4, 1.6, -3.0])
    assert len(refined(np.ones((5, D)), mass, reference, 1.0, (0.1, 1.0)).mass) == 2
    none = refined(np.ones((5, D)), mass - 9, reference, 1.0, (0.1, 1.0))
    np.testing.assert_array_equal(none.mass, [0])
    still = refined(np.zeros((5, D)), mass, reference, 1.0, (0.1, 1.0))
    assert not still.points.any()  # nothing but noise is shrunk away


def test_released_centres_are_short_enough_and_exact_in_float16():
    points = (
        np.random.default_rng(1).normal(size=(2000, D)) * np.geomspace(1e-4, 1e6, 2000)[:, None]
    )
    found = padded(Centres(points, np.ones(2000)), 2500, 30.0)
    np.testing.assert_array_equal(found, found.astype(np.float16))
    assert found.dtype == np.float32
    assert np.linalg.norm(found.astype(float), axis=1).max() <= 30
    assert not found[2000:].any()
    assert len(padded(Centres(points, np.ones(2000)), 7, 30.0)) == 7


@pytest.mark.reliability
def test_600_images_are_released_within_20_seconds_of_one_core():
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=3, size=(400, 64))
    grid = np.arange(16) // 2
    blocks = (grid[:, None] * BLOCKS + grid).ravel()
    units = [
        Unit(
            (centres[rng.integers(400, size=256)] + rng.normal(size=(256, 64))).astype("f4"), blocks
        )
        for _ in range(600)
    ]
    public = Public(
        np.zeros(64, np.float32), np.eye(64, dtype="f4"), centres[:128].astype("f4"), 8, 99, 0.1, {}
    )
    began = time.process_time()
    for start in LEVELS:
        release(units, public, LEVELS[start], 2.0, OsNoise())
    assert (time.process_time() - began) / len(LEVELS) < 20
