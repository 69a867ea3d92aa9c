"""p-values keep their level: "no difference on these products' parts", with images and seeds."""

import math

import numpy as np
import pytest

from fedad.compare.chances import chance, chance_equal, flat
from fedad.compare.statistics import drawable, interval, over_seeds, ranked, wilcoxon
from fedad.evaluation.holm import holm
from tests.compare.worlds import World, differences

# Of products, seeds, images a side and image AUROC; three and five of each are the usual ones.
NULLS = [
    World(3, 5, 20, 0.75),
    World(3, 5, 10, 0.95),
    World(1, 3, 20, 0.9, images_sd=1.0),
    World(3, 2, 20, 0.8, seeds_sd=0.5),
    World(6, 3, 10, 0.85, seeds_sd=0.3),
]
MANY = [
    World(products, seeds, images, auroc, images_sd, seeds_sd)
    for products in (1, 3, 6)
    for seeds in (2, 5)
    for images in (5, 20, 40)
    for auroc in (0.6, 0.95)
    for images_sd, seeds_sd in ((0.3, 0.3), (1.0, 0.1))
]


def rejected(world: World, repetitions: int) -> dict[str, float]:
    """How often each test of a comparison is below 5 %."""
    rng = np.random.default_rng([int(1000 * part) for part in world])
    images, hits = world.products * world.images, dict.fromkeys(("redrawn", "sets"), 0)
    for _ in range(repetitions):
        drawn, by_set = differences(world, rng)
        hits["redrawn"] += chance(drawn, images, world.seeds) < 0.05
        hits["sets"] += wilcoxon(np.round(by_set, 12)) < 0.05
    return {name: hit / repetitions for name, hit in hits.items()}


@pytest.mark.parametrize("world", NULLS, ids=str)
def test_type_one_error(world):
    """300 repetitions: two standard errors above 6 % are 8.7 %."""
    assert max(rejected(world, 300).values()) <= 0.087


@pytest.mark.reliability
def test_type_one_error_over_many_worlds(capsys):
    """400 repetitions of each of 72 worlds; 6 % and, of so many, three standard errors."""
    told = {world: rejected(world, 400) for world in MANY}
    with capsys.disabled():
        for world, found in told.items():
            print(*world, *(f"{name} {value:.3f}" for name, value in found.items()))
        for name in ("redrawn", "sets"):
            mean = np.mean([found[name] for found in told.values()])
            print(f"{name}: mean {mean:.3f}, highest {max(f[name] for f in told.values()):.3f}")
    for found in told.values():
        assert max(found.values()) <= 0.06 + 3 * math.sqrt(0.06 * 0.94 / 400)


@pytest.mark.parametrize(
    "world",
    [
        World(3, 3, 20, 0.8, 0.3, 0.1, ahead=0.05),
        World(3, 5, 10, 1 - 1e-9, 0.3, 0.0, ahead=0.01),
        World(1, 2, 20, 0.99, 0.3, 0.0, ahead=0.05),
        World(3, 3, 50, 0.995, 0.1, 0.1, ahead=0.02),
    ],
    ids=str,
)
def test_treatments_a_margin_apart_are_seldom_called_equal(world):
    rng = np.random.default_rng(7)
    images, hits = world.products * world.images, 0
    for _ in range(300):
        drawn, _ = differences(world, rng)
        p = chance_equal(drawn, images, world.seeds, world.ahead)
        narrow = interval(drawn, drawable([world.images] * world.products), 0.9)
        hits += p < 0.05 and narrow.within(world.ahead)
    assert hits / 300 <= 0.087


def test_a_real_difference_is_found():
    world = World(3, 5, 30, 0.9, ahead=0.1)
    rng = np.random.default_rng(0)
    ps = [chance(differences(world, rng)[0], 90, 5) for _ in range(50)]
    assert np.mean(np.array(ps) < 0.05) > 0.9


def test_friedmans_test_keeps_its_level_over_six_sets():
    """Seeds averaged inside; as blocks of their own they gave p below 5 % in 39 %."""
    rng = np.random.default_rng(1)
    for sets, treatments in ((6, 3), (6, 4), (10, 4)):
        hits = 0
        for _ in range(250):
            own = rng.normal(size=(treatments, sets, 1))  # of the images, which seeds share
            means = (own + 0.3 * rng.normal(size=(treatments, sets, 5))).mean(axis=2)
            found = ranked(dict(zip("abcd", means, strict=False)))
            apart = [p for row in found.pairs.values() for p in row.values()]
            hits += found.p < 0.05 or min(apart) < 0.05
        assert hits / 250 <= 0.06 + 2 * math.sqrt(0.06 * 0.94 / 250)


def test_answers_over_many_sites_and_figures_are_seldom_wrong():
    """Five sites by three figures, nobody gains: some answer is given in at most 6 %, where without
    Holm it is in far more."""
    rng, images, seeds, tests = np.random.default_rng(2), 20, 3, 15
    times = rng.multinomial(images, np.full(images, 1 / images), 4000) / images
    times = np.vstack([np.full(images, 1 / images), times])
    corrected = uncorrected = 0
    for _ in range(150):
        shared, own = rng.normal(size=(tests, 1, images)), rng.normal(size=(tests, seeds, images))
        drawn = (shared + 0.3 * own) @ times.T
        ps = [chance(over_seeds(one, rng), images, seeds) for one in drawn]
        corrected += min(holm(ps)) < 0.05
        uncorrected += min(ps) < 0.05
    assert corrected / 150 <= 0.06 + 2 * math.sqrt(0.06 * 0.94 / 150) < uncorrected / 150


@pytest.mark.parametrize("value", [-0.13, -0.09, 0.05, 0.1, 0.12])
@pytest.mark.parametrize("images", [20, 60])
def test_a_p_is_where_its_interval_ends(value, images):
    drawn = np.random.default_rng(0).normal(value, 0.05, 20_001)
    p = chance(drawn, images, 5)
    assert 0.005 < p < 0.5
    assert interval(drawn, images, 1 - 1.2 * p).excludes(0)
    assert not interval(drawn, images, 1 - 0.8 * p).excludes(0)


def test_no_p_is_below_what_so_many_images_allow():
    drawn = np.random.default_rng(0).normal(0.5, 0.01, 10_001)
    assert chance(drawn, 5, 3) >= 2 * 2.0**-5
    assert chance(drawn, 100, 3) > 0
    assert chance_equal(drawn - 0.5, 5, 3, 0.1) >= 2.0**-5


def test_two_equal_blocks_do_not_say_that_p_is_zero():
    same = np.zeros(201)
    assert flat(same)
    assert math.isnan(chance(same, 20, 2))
    assert chance_equal(same, 20, 2, 0.01) == pytest.approx(0.99**20)
    assert chance_equal(same, 400, 2, 0.01) < 0.05
    assert chance_equal(same + 0.02, 400, 2, 0.01) == 1.0


def test_nobody_can_tell_from_one_seed_or_no_image():
    drawn = np.random.default_rng(0).normal(0.5, 0.01, 201)
    for images, seeds in ((20, 1), (0, 3), (1, 3)):
        assert math.isnan(chance(drawn, images, seeds))
        assert math.isnan(chance_equal(drawn, images, seeds, 0.1))
    assert math.isnan(chance(drawn[:1], 20, 3))
