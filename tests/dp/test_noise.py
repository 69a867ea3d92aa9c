"""The noise of a release, drawn as it is in earnest: unseeded, so a test may fail once in a million
times."""

import numpy as np
import pytest
from scipy import stats

from fedad.dp import tree
from fedad.dp.levels import LEVELS, Level, noises
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.dp.tree import GRID, noisy, refined
from tests.dp.public_numbers import public_numbers

DRAWS = 200_000
CHANCE = 1e-6
PUBLIC = public_numbers()


def residuals(sigma):
    return noisy(np.full((DRAWS // 50, 50), 3 * GRID), sigma, OsNoise()).ravel() - 3


def masses(sigma):
    return noisy(np.full(DRAWS, 3 * GRID), sigma, OsNoise()) - 3


@pytest.mark.parametrize("drawn", [residuals, masses])
@pytest.mark.parametrize("place", [0, 1])
def test_each_sum_has_normal_noise_of_the_stated_size(drawn, place):
    sigma = LEVELS["positions"][0].noise(2.0)[place]
    found = drawn(sigma) / sigma
    assert found.var() == pytest.approx(1, rel=0.02)
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert stats.kurtosis(found) == pytest.approx(0, abs=5 * np.sqrt(24 / DRAWS))
    assert stats.kstest(found, "norm").pvalue >= CHANCE


@pytest.mark.parametrize("place", [0, 1])
def test_a_release_adds_that_noise_to_each_of_its_sums(monkeypatch, place):
    """Without a unit the sums that a release goes on with are noise alone."""
    level, mu, seen = Level("positions", 0.4, 1.0), 2.0, []

    def watched(a, b, *rest):
        seen.append((a, b)[place].ravel())
        return refined(a, b, *rest)

    monkeypatch.setattr(tree, "refined", watched)
    for _ in range(3200 if place else 400):
        tree.release([], PUBLIC, (level,), mu, OsNoise())
    found = np.concatenate(seen) / level.noise(mu)[place]
    assert len(found) > DRAWS
    assert found.var() == pytest.approx(1, rel=0.02)
    assert stats.kurtosis(found) == pytest.approx(0, abs=5 * np.sqrt(24 / len(found)))
    assert stats.kstest(found, "norm").pvalue >= CHANCE


def test_each_level_has_noise_of_its_own(monkeypatch):
    seen = []
    monkeypatch.setattr(tree, "noisy", lambda whole, sigma, noise: seen.append(sigma) or whole + 1)
    for levels in LEVELS.values():
        seen.clear()
        tree.release([], PUBLIC, levels, 2.0, OsNoise())
        assert seen == list(noises(levels, 2.0))


def test_noise_is_in_whole_steps_and_no_two_draws_are_alike():
    found = noisy(np.zeros(1000, np.int64), 0.7, OsNoise()) * GRID
    assert (found == np.rint(found)).all()
    assert len(np.unique(found)) > 990
    assert not np.array_equal(found, noisy(np.zeros(1000, np.int64), 0.7, OsNoise()) * GRID)


@pytest.mark.parametrize("start", LEVELS)
@pytest.mark.parametrize("mu", [0.27, 2.0])
def test_all_sums_together_cost_what_one_mechanism_does(start, mu):
    """Gaussian mechanisms compose by the squares of their mu."""
    assert sum(1 / sigma**2 for sigma in noises(LEVELS[start], mu)) == pytest.approx(mu**2)
    assert len(noises(LEVELS[start], mu)) == 2 * len(LEVELS[start])


def test_residuals_and_masses_share_the_budget_of_a_level_three_to_one():
    a, b = LEVELS["positions"][0].noise(1.0)
    assert (b / a) ** 2 == pytest.approx(3)


def test_only_the_operating_systems_noise_is_private():
    assert OsNoise().private
    assert not SeededNoise(1).private
    assert OsNoise().normal((3, 4)).shape == (3, 4)
