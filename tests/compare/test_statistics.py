"""Tests and intervals: the libraries' own examples, textbook values, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import rankdata

from fedad.compare.drawn import weights
from fedad.compare.statistics import (
    FEWEST_BLOCKS,
    drawable,
    effect,
    interval,
    over_seeds,
    ranked,
    too_few,
    wilcoxon,
)
from fedad.compare.statistics import Interval as Range
from fedad.evaluation.holm import holm

# Heights of plants, scipy's own example of the signed-rank test.
PLANTS = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75.0])
# Respiration rates of seven people, scipy's own example of Friedman's test.
RATES = {
    "before": np.array([72, 96, 88, 92, 74, 76, 82.0]),
    "after": np.array([120, 120, 132, 120, 101, 96, 112.0]),
    "later": np.array([76, 95, 104, 96, 84, 72, 76.0]),
}
DIFFERENCES = st.lists(st.integers(-20, 20), min_size=1, max_size=12).map(
    lambda values: np.array(values, float) / 8
)


def test_the_signed_rank_test_is_scipys():
    assert wilcoxon(PLANTS) == pytest.approx(0.041259765625)
    assert wilcoxon(np.zeros(6)) == 1.0
    assert math.isnan(wilcoxon(np.arange(1.0, 6)))  # five cannot reach 5 %


@given(values=st.sets(st.integers(1, 50), min_size=1, max_size=10), ties=st.integers(6, 20))
def test_pairs_that_do_not_differ_change_nothing(values, ties):
    """And what is left is exact: with all on one side, twice 2^-n."""
    apart = np.array(sorted(values), float)
    p = wilcoxon(np.concatenate([apart, np.zeros(ties)]))
    assert p == pytest.approx(2.0 ** (1 - len(apart)))


def test_friedmans_test_is_scipys():
    assert ranked(RATES).p == pytest.approx(0.005063414171757498)


def test_nemenyis_p_is_the_studentized_range_of_mean_ranks():
    found = ranked(RATES)
    ranks = {name: column.mean() for name, column in zip(RATES, _ranks(), strict=True)}
    assert found.ranks == pytest.approx(ranks)
    for a in RATES:
        for b in RATES:
            q = abs(ranks[a] - ranks[b]) / math.sqrt(3 * 4 / (6 * 7)) * math.sqrt(2)
            assert found.pairs[a][b] == pytest.approx(
                stats.studentized_range.sf(q, 3, math.inf), abs=1e-6
            )


# Seven treatments over three blocks: scikit-posthocs' own example of Nemenyi's test, and what R's
# PMCMR says of its first four treatments there.
BLOCKS = [[4, 3, 4, 4, 5, 6, 3], [1, 2, 3, 5, 6, 7, 7], [1, 2, 6, 4, 1, 5, 1]]
NEMENYI = {"ab": 0.9999999, "ac": 0.8414506, "bc": 0.8833015, "ad": 0.9177741, "bd": 0.9449086}


def test_nemenyis_p_is_that_of_scikit_posthocs_and_of_r(monkeypatch):
    monkeypatch.setattr("fedad.compare.statistics.FEWEST_SETS", 3)
    found = ranked(dict(zip("abcdefg", np.array(BLOCKS, float).T, strict=True)))
    for (one, other), p in NEMENYI.items():
        assert found.pairs[one][other] == pytest.approx(p, abs=1e-5)
        assert found.pairs[other][one] == found.pairs[one][other]


def _ranks() -> np.ndarray:
    """(treatments, blocks); 1 for the highest."""
    return rankdata(-np.array(list(RATES.values())), axis=0)


def test_the_critical_difference_is_demsars():
    """Four classifiers on fourteen data sets: 1.25 (JMLR 7, 2006, section 3.2.2)."""
    rng = np.random.default_rng(0)
    found = ranked({name: rng.normal(size=14) for name in "abcd"})
    assert found.critical == pytest.approx(1.25, abs=0.005)


def test_groups_hold_what_cannot_be_told_apart():
    blocks = np.arange(30.0)
    noise = np.random.default_rng(1).normal(size=(4, 30))
    some = {name: blocks + shift + noise[k] for k, (name, shift) in enumerate(_SHIFTS.items())}
    assert [sorted(group) for group in ranked(some).groups] == [
        ["high", "higher"],
        ["low", "lower"],
    ]


_SHIFTS = {"low": 0.1, "high": 50.1, "higher": 50.0, "lower": 0.0}


def test_ranking_needs_three_treatments_and_six_sets():
    assert ranked({name: RATES[name] for name in ("before", "after")}) is None
    assert ranked({name: values[:5] for name, values in RATES.items()}) is None
    assert ranked({name: values[:6] for name, values in RATES.items()}).sets == 6
    alike = ranked({name: np.ones(6) for name in "abc"})
    assert alike.p == 1.0
    assert alike.groups == [["a", "b", "c"]]


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.01, math.nan])[0] == pytest.approx(0.02)
    assert math.isnan(holm([0.01, math.nan])[1])


@given(differences=DIFFERENCES)
def test_effect_sizes_are_scipys_statistics_scaled(differences):
    found, apart = effect(differences), differences[differences != 0]
    if len(differences) < FEWEST_BLOCKS:
        assert np.isnan(found).all()
        return
    if not len(apart):
        assert found == (0.0, 0.0)
        return
    above = stats.wilcoxon(apart, alternative="greater", method="asymptotic").statistic
    assert found.rank_biserial == pytest.approx(4 * above / (len(apart) * (len(apart) + 1)) - 1)
    if np.ptp(differences) > 0:
        t = stats.ttest_1samp(differences, 0).statistic
        assert found.dz == pytest.approx(t / math.sqrt(len(differences)))
    else:
        assert math.isnan(found.dz)


# Seeds, images, and what scatters a figure: seeds, images (which all seeds share), both together.
SCATTERS = [
    (1, 20, 0.0, 1.0, 0.0),
    (5, 40, 0.0, 1.0, 0.3),
    (5, 24, 0.3, 1.0, 0.3),
    (5, 40, 1.0, 0.01, 0.01),
    (2, 24, 1.0, 0.1, 0.1),
    (5, 24, 0.0, 0.3, 1.0),
]


@pytest.mark.parametrize("scatter", SCATTERS, ids=str)
@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_intervals_cover_the_truth_as_often_as_they_say(scatter, confidence):
    """600 repetitions: three standard errors below the nominal rate are 2.7 % or 3.7 %.

    Never much too narrow; where seeds and images scatter together, too wide.
    """
    rng = np.random.default_rng([int(100 * part) for part in scatter])
    covered = np.mean([_covers(scatter, confidence, rng) for _ in range(600)])
    assert covered > confidence - 3 * math.sqrt(confidence * (1 - confidence) / 600)
    if scatter[4] < 0.3:
        assert covered < 0.99


def _covers(
    scatter: tuple[int, int, float, float, float], confidence: float, rng: np.random.Generator
) -> bool:
    """Whether the interval of a mean that is 0 holds 0."""
    seeds, images, *sizes = scatter
    shapes = ((seeds, 1), (1, images), (seeds, images))
    values = sum(size * rng.normal(size=shape) for size, shape in zip(sizes, shapes, strict=True))
    times = weights(np.ones(images, bool), 300, rng) / images
    found = interval(over_seeds(values @ times.T, rng), images, confidence)
    return not found.excludes(0)


def test_one_seed_is_left_as_it_is():
    drawn = np.random.default_rng(0).normal(size=(1, 50))
    assert np.array_equal(over_seeds(drawn, np.random.default_rng(1)), drawn[0])


@given(seed=st.integers(0, 99), seeds=st.integers(2, 6))
def test_the_difference_of_two_scatters_as_their_differences(seed, seeds):
    """What two treatments have in common cancels, seed by seed."""
    one, other = np.random.default_rng(seed).normal(size=(2, seeds, 20))
    a, b, both = (over_seeds(x, np.random.default_rng(7)) for x in (one, other, one - other))
    assert a - b == pytest.approx(both)
    assert a[0] == pytest.approx(one[:, 0].mean())


def test_an_interval_of_nothing_is_none():
    assert all(math.isnan(end) for end in interval(np.array([1.0]), 20))
    assert all(math.isnan(end) for end in interval(np.ones(10), 1))
    assert Range(-0.2, 1.3).clipped() == (0.0, 1.0)


def test_intervals_rest_on_enough_images_of_each_category():
    assert drawable([5, 7]) == 12
    assert drawable([30, 4]) == drawable([0, 0]) == drawable([]) == 0
    assert drawable([30, 0]) == 30


def test_the_fewest_images_that_an_interval_rests_on_cover():
    """Fewer do not: all of two images are above the truth a quarter of the time."""
    rng = np.random.default_rng(1)
    for images, least in ((2, 0.0), (5, 0.9)):
        scatter = (1, images, 0.0, 1.0, 0.0)
        covered = np.mean([_covers(scatter, 0.95, rng) for _ in range(600)])
        assert least <= covered < (0.6 if images == 2 else 0.97)


def test_too_few_is_said_in_words():
    assert too_few(5, 40) == []
    assert too_few(1, 10) == [
        "one seed says nothing of others: no p",
        "a category has only 10 good or defective test images",
    ]
    assert too_few(2, 4) == ["a category has only 4 good or defective test images: no p"]
