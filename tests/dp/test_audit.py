"""Audits: below what is claimed of sound mechanisms, and each fault is caught by something here."""

import numpy as np
import pytest
from scipy.special import expit

from fedad.dp import tree
from fedad.dp.audit import (
    gaussian_mu,
    guessing_bound,
    lower_bound,
    many_runs,
    normality,
    one_run,
)
from fedad.dp.gaussian import epsilon_of, multiplier
from fedad.dp.levels import BLOCKS, LEVELS
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.dp.public import Public

DELTA = 1e-5
D = 8
PUBLIC = Public(
    np.zeros(D, np.float32),
    np.eye(D, dtype=np.float32),
    np.random.default_rng(0).normal(scale=3, size=(20, D)).astype(np.float32),
    radius=2.0,
    longest=30.0,
    step=2.0**-12,
    embedding={},
)
UNLIKELY = 1e-6  # of tests on noise that no seed reproduces


def answers(rng, epsilon, count, truth):
    """Randomised response: the truth with e^eps / (1 + e^eps), which is exactly epsilon-DP."""
    return np.where(rng.random(count) < expit(epsilon), truth, 1 - truth).astype(float)


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_many_runs_stay_below_what_is_true_and_come_near_it(epsilon):
    rng = np.random.default_rng(1)
    bounds = [
        lower_bound(answers(rng, epsilon, 2000, 1), answers(rng, epsilon, 2000, 0), delta=0)
        for _ in range(100)
    ]
    assert sum(bound > epsilon for bound in bounds) <= 11  # 5 of 100 may be; more is < 1 %
    assert np.median(bounds) > 0.6 * epsilon


def test_many_runs_find_the_direction_that_tells_most():
    """The canary is sometimes seen for sure when it is there, and never when it is not; and the
    other way round."""
    rng = np.random.default_rng(2)
    often, never = (rng.random(1000) < 0.5).astype(float), np.zeros(1000)
    assert lower_bound(often, never, delta=0) > 4
    assert lower_bound(never, -often, delta=0) > 4
    assert lower_bound(never, never, delta=0) == 0


def test_a_mechanism_without_noise_is_refuted():
    rng = np.random.default_rng(3)
    bound = many_runs(lambda inside: inside + 1e-9 * rng.normal(), 200, delta=DELTA)
    assert bound > 3


def test_delta_is_allowed_for():
    """It leaks all with a chance of delta: that is (0, delta)-DP, and no epsilon is shown."""
    rng = np.random.default_rng(4)
    leaks = (rng.random(20_000) < 0.01).astype(float)
    assert lower_bound(leaks, np.zeros(20_000), delta=0.02) == 0
    assert lower_bound(leaks, np.zeros(20_000), delta=0) > 1


@pytest.mark.parametrize("mu", [0.27, 2.0])
def test_mu_is_estimated_and_bounded_below(mu):
    rng = np.random.default_rng(5)
    found = [gaussian_mu(rng.normal(mu, 1, 100), rng.normal(0, 1, 100)) for _ in range(200)]
    assert np.mean([one.mu for one in found]) == pytest.approx(mu, abs=0.05)
    assert sum(one.lower > mu for one in found) <= 20  # 10 of 200 may be; more is < 1 %
    assert np.mean([one.lower for one in found]) == pytest.approx(max(0.07, mu - 0.28), abs=0.08)


def one_game(rng, mu, canaries=400, guesses=100):
    """Canaries that each have Gaussian noise of their own, and mu-GDP."""
    inside = rng.random(canaries) < 0.5
    scores = mu * inside + rng.normal(size=canaries)
    return one_run(inside, scores, guesses, delta=DELTA)


@pytest.mark.parametrize("epsilon", [1.0, 5.0])
def test_one_run_stays_below_what_is_claimed(epsilon):
    rng, mu = np.random.default_rng(6), 1 / multiplier(epsilon, DELTA)
    bounds = [one_game(rng, mu) for _ in range(100)]
    assert max(bounds) <= epsilon_of(mu, DELTA)
    assert np.median(bounds) > 0.05 * epsilon


def test_one_run_catches_a_mechanism_without_noise():
    assert one_game(np.random.default_rng(7), 1e6) > 3


def test_guesses_are_bounded_by_the_binomial_tail():
    """100 of 100 right: the least rate at which that has a chance of .05 is .05 ** .01."""
    rate = 0.05**0.01
    assert guessing_bound(100, 100, 100, delta=0) == pytest.approx(np.log(rate / (1 - rate)))
    assert guessing_bound(100, 100, 50, delta=0) == 0
    some = [guessing_bound(1000, 100, 100, delta=delta) for delta in (0, 1e-6, 1e-5, 1e-4)]
    assert some == sorted(some, reverse=True)
    assert some[0] > some[-1]


def test_randomised_response_in_one_run_stays_below_epsilon():
    rng, bounds = np.random.default_rng(8), []
    for _ in range(200):
        inside = rng.random(500) < 0.5
        seen = answers(rng, 1.0, 500, inside.astype(int))
        bounds.append(one_run(inside, seen, 500, delta=0))
    assert sum(bound > 1 for bound in bounds) <= 20  # 10 of 200 may be; more is < 1 %
    assert np.median(bounds) > 0.6


# The tree as it is, and with a fault of each kind.

SOUND = {"noisy": tree.noisy, "contribution": tree.contribution}
LEVEL = LEVELS["positions"][0]


def unit(scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    points = (rng.normal(size=(16, D)) * scale).astype(np.float32)
    return tree.Unit(points, rng.integers(BLOCKS * BLOCKS, size=16))


def statistic(inside, mu, rest, canary, noise):
    """The log likelihood ratio of the canary being in, over all levels."""
    centres, found = PUBLIC.centres.astype(float), 0.0
    for level in LEVELS["positions"]:
        cells_of, reference = tree.cut(level, centres)
        cut = (cells_of, reference, level.radius * PUBLIC.radius)
        without, alone = tree.sums(rest, *cut), tree.sums([canary], *cut)
        told = []
        for place, sigma in enumerate(level.noise(mu)):
            out = tree.noisy(without[place] + inside * alone[place], sigma, noise)
            v, gap = alone[place] / tree.GRID, out - without[place] / tree.GRID
            found += float((gap * v).sum() - (v * v).sum() / 2) / sigma**2
            told.append(out)
        centres = tree.refined(*told, reference, cut[2], level.noise(mu)).points
    return found


def faults(mu=2.0, runs=0) -> set[str]:
    """What looks wrong with the tree's functions as they are now; audited by `runs` runs."""
    found = set()
    for name, sigma, shape in zip("AB", LEVEL.noise(mu), ((12_500, 8), (100_000,)), strict=True):
        seen = normality(tree.noisy(np.zeros(shape, np.int64), sigma, OsNoise()).ravel(), sigma)
        if abs(seen.variance - 1) > 0.03 or abs(seen.kurtosis) > 0.12 or seen.p_value < UNLIKELY:
            found.add(f"noise of {name}")
    one, other = (tree.noisy(np.zeros(50, np.int64), 1.0, OsNoise()) for _ in range(2))
    if (one == other).any():
        found.add("noise that repeats")
    for scale in (1e-3, 1.0, 1e3):
        given = tree.contribution(
            (u := unit(scale)), u.blocks, np.zeros((BLOCKS * BLOCKS, D)), PUBLIC.radius
        )
        for part in (given.residuals, given.masses):
            if int((part.astype(object) ** 2).sum()) > tree.GRID**2:
                found.add("longer than the sensitivity")
    if not runs:
        return found
    rest, canary = [unit(1.0, seed) for seed in range(1, 4)], unit(200.0)
    noise = OsNoise()
    scores = [
        np.array([statistic(k, mu, rest, canary, noise) for _ in range(runs)]) for k in (1, 0)
    ]
    if lower_bound(*scores, delta=DELTA, confidence=1 - UNLIKELY) > epsilon_of(mu, DELTA):
        found.add("audit of epsilon")
    if gaussian_mu(*scores, confidence=1 - UNLIKELY).lower > mu:
        found.add("audit of mu")
    return found


def half(whole, sigma, noise):
    return SOUND["noisy"](whole, sigma / 2, noise)


def no_masses(whole, sigma, noise):
    return SOUND["noisy"](whole, sigma if whole.ndim > 1 else 0.0, noise)


def seeded(whole, sigma, noise):
    return SOUND["noisy"](whole, sigma, SeededNoise(0))


def unclipped(unit, cells, reference, radius):
    given = SOUND["contribution"](unit, cells, reference, radius)
    longest = np.linalg.norm(unit.points) / radius
    return given._replace(residuals=(given.residuals * max(1.0, longest)).astype(np.int64))


def test_the_tree_has_no_fault_that_these_tests_know():
    assert faults(runs=60) == set()


@pytest.mark.parametrize(
    ("function", "fault", "caught"),
    [
        ("noisy", half, "noise of A"),
        ("noisy", no_masses, "noise of B"),
        ("noisy", seeded, "noise that repeats"),
        ("contribution", unclipped, "longer than the sensitivity"),
    ],
)
def test_each_fault_is_caught(function, fault, caught, monkeypatch):
    monkeypatch.setattr(tree, function, fault)
    assert caught in faults()


def test_the_estimate_of_mu_refutes_half_the_noise(monkeypatch):
    monkeypatch.setattr(tree, "noisy", half)
    assert "audit of mu" in faults(runs=60)
