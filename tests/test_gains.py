"""Who gained by sharing: paired, and no more often by chance than the level says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fedad.evaluation import Counts, Scored, resample
from fedad.evaluation.holm import holm
from fedad.judging.findings import Findings
from fedad.judging.gains import CANNOT_TELL, GAINED, LOST, gains_of, sure
from fedad.seeding import stream
from fedad.types import Region

SIDE = 8


def found(scores: np.ndarray, bad: np.ndarray, site: str = "lyon") -> Findings:
    """A site's findings of one product, of images with these scores."""
    images = []
    for score, is_bad in zip(scores, bad, strict=True):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[2:4, 2:4] = is_bad
        heat = np.where(mask, score, score / 2).astype(np.float32)
        regions = (Region(mask, 4),) if is_bad else ()
        defect = "cut" if is_bad else "good"
        images.append(Scored(heat, regions, "bolt", defect, score=float(score)))
    counts = [Counts.of(one) for one in images]
    coarse = [Counts.coarse(one) for one in images]
    rng = stream(0, site, "bootstrap", "bolt")
    return Findings(sum(counts, Counts()), resample(coarse, 200, rng=rng))


@pytest.fixture(scope="module")
def ways() -> tuple[Findings, Findings]:
    rng = np.random.default_rng(0)
    bad = np.repeat([False, True], 20)
    noise = rng.normal(size=40)
    return found(5 + noise + 2.5 * bad, bad), found(5 + noise + 0.2 * bad, bad)


def test_a_planted_gain_is_found_and_the_reverse_is_a_loss(ways):
    shared, alone = ways
    gained = gains_of({"lyon": shared}, {"lyon": alone})["image_auroc"]["sites"]["lyon"]
    lost = gains_of({"lyon": alone}, {"lyon": shared})["image_auroc"]["sites"]["lyon"]
    values = [one.report["categories"]["bolt"]["figures"]["image_auroc"]["value"] for one in ways]
    assert gained["value"] == pytest.approx(values[0] - values[1])
    assert gained["answer"] == GAINED
    assert lost["answer"] == LOST
    assert 0 < gained["low"] < gained["value"] < gained["high"]
    assert lost["low"] == pytest.approx(-gained["high"])


def test_the_same_model_is_no_gain(ways):
    shared, _ = ways
    (one,) = gains_of({"lyon": shared}, {"lyon": shared}, ["image_auroc"])["image_auroc"][
        "sites"
    ].values()
    assert one["value"] == 0
    assert one["answer"] == CANNOT_TELL


def test_other_images_and_few_of_them_tell_nothing():
    few = np.repeat([False, True], 3)
    more = np.repeat([False, True], 8)
    three, eight = found(5 + 1.0 * few, few), found(5 + 1.0 * more, more)
    (one,) = gains_of({"lyon": three}, {"lyon": three}, ["image_auroc"])["image_auroc"][
        "sites"
    ].values()
    assert one["answer"] == CANNOT_TELL
    assert math.isnan(one["low"])
    (one,) = gains_of({"lyon": eight}, {"lyon": three}, ["image_auroc"])["image_auroc"][
        "sites"
    ].values()
    assert math.isnan(one["value"])


def test_a_gain_is_called_by_chance_no_more_often_than_the_level_says():
    """Two scores that are equally good, 12 good and 12 defective images, as in the demo."""
    rng, wrong, worlds = np.random.default_rng(1), 0, 600
    weights = rng.multinomial(12, np.full(12, 1 / 12), 200)
    both = [np.vstack([np.ones(12), weights]), np.vstack([np.ones(12), weights[::-1]])]
    for _ in range(worlds):
        shared, sides = rng.normal(size=24), []
        for _ in range(2):
            scores = 0.7 * shared + 0.7 * rng.normal(size=24)
            scores[12:] += 1.0
            above = (scores[12:, None] > scores[None, :12]).astype(float)
            sides.append(np.einsum("rb,bg,rg->r", both[1], above, both[0]) / 144)
        drawn = sides[0] - sides[1]
        wrong += sure(float(drawn[0]), drawn, 12)["p"] < 0.05
    assert wrong / worlds <= 0.06 + 2 * math.sqrt(0.06 * 0.94 / worlds)
    assert wrong > 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_never_above_bonferroni_nor_below_the_plain_p(ps):
    adjusted = holm(ps)
    assert all(p <= a <= min(1, len(ps) * p) + 1e-12 for p, a in zip(ps, adjusted, strict=True))
    assert [a for _, a in sorted(zip(ps, adjusted, strict=True))] == sorted(adjusted)


@pytest.mark.parametrize("count", range(1, 10))
def test_holm_is_that_of_statsmodels(count):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(count)
    for ps in (rng.random(count), rng.random(count) ** 4, rng.integers(0, 3, count) / 2):
        expected = list(multitest.multipletests(ps, method="holm")[1])
        assert holm(list(ps)) == pytest.approx(expected)


def test_holm_by_hand_and_nan_count_as_tests():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    some = holm([0.01, math.nan])
    assert some[0] == pytest.approx(0.02)
    assert math.isnan(some[1])


def test_the_interval_ends_at_none_where_p_is_five_percent():
    drawn = np.concatenate([[0.0], np.random.default_rng(0).normal(size=400)])
    half = sure(0.0, drawn, 12)["high"]
    assert sure(half, drawn, 12)["p"] == pytest.approx(0.05)
    scatter = drawn[1:].std(ddof=1) * math.sqrt(12 / 11)
    assert half == pytest.approx(scatter * stats.t.ppf(0.975, 11))


def test_the_mean_of_sites_is_surer_than_each(ways):
    shared, alone = ways
    told = gains_of({"a": shared, "b": shared}, {"a": alone, "b": alone})["image_auroc"]
    one, mean = told["sites"]["a"], told["mean_of_sites"]
    assert mean["value"] == pytest.approx(one["value"])
    assert mean["high"] - mean["low"] == pytest.approx((one["high"] - one["low"]) / math.sqrt(2))
    assert mean["answer"] == GAINED
    assert mean["over"] == "images"
    assert gains_of({}, {})["image_auroc"]["mean_of_sites"]["answer"] == CANNOT_TELL


def test_many_sites_of_few_images_tell_by_how_their_gains_scatter():
    """What no site says by itself: of three images a side, in twelve sites."""
    few, rng = np.repeat([False, True], 3), np.random.default_rng(0)
    noise = {f"site-{k}": rng.normal(size=6) for k in range(12)}
    shared = {site: found(5 + one + 4 * few, few, site) for site, one in noise.items()}
    alone = {site: found(5 + one, few, site) for site, one in noise.items()}
    told = gains_of(shared, alone)["image_auroc"]
    assert {one["answer"] for one in told["sites"].values()} == {CANNOT_TELL}
    mean, values = told["mean_of_sites"], [one["value"] for one in told["sites"].values()]
    assert mean["over"] == "sites"
    assert mean["answer"] == GAINED
    assert mean["p"] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    some = gains_of(dict([*shared.items()][:4]), alone)["image_auroc"]["mean_of_sites"]
    assert some["answer"] == CANNOT_TELL
    assert math.isnan(some["p"])
    same = gains_of(alone, alone)["image_auroc"]["mean_of_sites"]
    assert (same["value"], same["answer"]) == (0, CANNOT_TELL)
