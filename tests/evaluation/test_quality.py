"""Thresholds from good images and the rates that they give, on small numbers and in simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest

from fedad.errors import ConfigError, DataError
from fedad.evaluation import Decisions, Rate, Scored, decide, threshold


def judged(category, good, defective):
    for defect, scores in (("good", good), ("missing", defective)):
        for score in scores:
            regions = None if defect == "missing" else ()
            yield Scored(np.zeros((2, 2)), regions, category, defect, score=score)


def decided(good, defective, limit) -> Decisions:
    return decide(judged("bolt", good, defective), {"bolt": limit})["bolt"]


@pytest.mark.parametrize(
    ("n", "rate", "place"),  # the place of the threshold among n ascending scores, from 1
    [(9, 0.1, 9), (19, 0.1, 18), (20, 0.1, 19), (99, 0.01, 99), (99, 0.05, 95), (99, 0.29, 71)],
)
def test_the_threshold_is_one_of_the_scores(n, rate, place):
    scores = np.random.default_rng(n).permutation(np.arange(1, n + 1) * 1.5)
    assert threshold(scores, rate) == place * 1.5


@pytest.mark.parametrize(
    ("n", "rate", "needed"),
    [(8, 0.1, 9), (98, 0.01, 99), (0, 0.5, 1), (100, 0.003, 333), (2, 0.29, 3)],
)
def test_a_rate_that_n_cannot_support_is_refused_saying_how_many_it_takes(n, rate, needed):
    with pytest.raises(ConfigError, match=rf"at least {needed} good images.*there are {n}:"):
        threshold(np.arange(n), rate)
    threshold(np.arange(needed), rate)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ConfigError, match=f"rate of {rate}"):
        threshold(np.arange(10), rate)


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="not finite"):
        threshold(np.array([1.0, np.nan, 3.0]), 0.5)


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (50, 0.1), (30, 0.25)])
def test_the_promise_holds_for_small_samples(n, rate):
    """Over 4,000 plants the next good image is rejected at the wished rate or just below."""
    rng = np.random.default_rng(n)
    scores = rng.lognormal(size=(4000, n + 1))
    rejected = np.mean([new > threshold(good, rate) for *good, new in scores])
    spread = 3 * np.sqrt(rate / 4000)
    assert rate - 1 / (n + 1) - spread <= rejected <= rate + spread


def test_ties_reject_less_never_more():
    assert decided([1] * 50, [1], threshold(np.ones(50), 0.1)) == Decisions(50, 0, 1, 1)


@pytest.mark.parametrize(("cases", "of"), [(0, 10), (10, 10), (3, 10), (1, 374), (0, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_are_clopper_and_pearsons(cases, of, confidence):
    exact = binomtest(cases, of).proportion_ci(confidence, method="exact")
    rate = Rate.exact(cases, of, confidence)
    assert (rate.low, rate.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert rate.value == cases / of


def test_a_rate_of_no_parts_is_nan_and_says_nothing():
    rate = Rate.exact(0, 0)
    assert np.isnan(rate.value)
    assert (rate.low, rate.high) == (0, 1)


@pytest.mark.parametrize("true", [0.02, 0.2, 0.5])
def test_intervals_cover_at_least_at_their_rate(true):
    drawn = np.random.default_rng(0).binomial(60, true, size=2000)
    inside = [rate.low <= true <= rate.high for rate in (Rate.exact(int(k), 60) for k in drawn)]
    assert 0.95 - 3 * np.sqrt(0.05 * 0.95 / 2000) <= np.mean(inside)


def test_decisions_add_over_sites_and_count_both_errors():
    lyon = decided([1, 2, 3, 9], [2, 8, 9], 5)
    assert lyon == Decisions(good=4, rejected=1, defective=3, escaped=1)
    graz = decided([1, 1], [], 5)
    total = lyon + graz
    assert total == graz + lyon == Decisions(6, 1, 3, 1)
    assert total + Decisions() == total
    assert total.false_rejects() == Rate.exact(1, 6)
    assert total.escapes() == Rate.exact(1, 3)
    assert np.isnan(graz.escapes().value)


def test_each_category_has_its_own_threshold():
    images = [*judged("bolt", [1, 4], [4]), *judged("hose", [1, 4], [4])]
    found = decide(images, {"bolt": 2, "hose": 4})
    assert found == {"bolt": Decisions(2, 1, 1, 0), "hose": Decisions(2, 0, 1, 1)}


@pytest.mark.parametrize("counts", [(1, 2, 0, 0), (0, 0, 1, 2), (-1, 0, 0, 0), (1, -1, 0, 0)])
def test_decisions_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match="more parts than there are, or on fewer"):
        Decisions(*counts)
