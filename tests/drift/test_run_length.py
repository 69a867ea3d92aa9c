"""How often charts alarm while nothing drifts: by computation, and played through."""

import numpy as np
import pytest

from fedad.drift.charts import beyond, cusum, ewma, first
from fedad.drift.days import trimmed_means
from fedad.drift.run_length import (
    KINDS,
    PLAYED,
    cusum_run_length,
    delay,
    ewma_run_length,
    limits_for,
    ramp_delay,
)
from fedad.drift.self_started import FIRST, MOST, against, self_started
from fedad.drift.streams import odd_by_p

RUNS = 2000


@pytest.fixture(scope="module")
def quiet():
    """(runs, days) of days on which nothing drifts."""
    return np.random.default_rng(0).standard_normal((RUNS, 1000))


def run_length(alarms):
    """Mean days until the first alarm; of runs that have none the days they had, so that an
    exponential law's mean is days over alarms."""
    days = first(alarms)
    ended = alarms.any(axis=-1)
    return (days + ended).sum() / ended.sum()


@pytest.mark.parametrize("limit", [3.0, 4.5])
def test_a_cusum_runs_as_long_as_computed(quiet, limit):
    found = run_length(np.maximum(cusum(quiet), cusum(-quiet)) > limit)
    assert found == pytest.approx(cusum_run_length(limit), rel=0.06)


@pytest.mark.parametrize("limit", [0.75, 0.95])
def test_a_weighted_mean_runs_as_long_as_computed(quiet, limit):
    found = run_length(np.abs(ewma(quiet)) > limit)
    assert found == pytest.approx(ewma_run_length(limit), rel=0.06)


def test_run_lengths_are_those_that_books_have():
    """Page's h = 4 and 5 (Montgomery's table: 168 and 465), and an EWMA of Lucas and Saccucci."""
    assert cusum_run_length(4.0) == pytest.approx(168, abs=1)
    assert cusum_run_length(5.0) == pytest.approx(465, abs=2)
    assert cusum_run_length(5.0, 1.0) == pytest.approx(10.4, abs=0.1)
    spread = np.sqrt(0.2 / 1.8)
    assert ewma_run_length(2.859 * spread) == pytest.approx(370, rel=0.01)


@pytest.mark.parametrize("streams", [1, 12])
def test_limits_give_the_run_length_that_was_asked_for(streams):
    limits = limits_for(1000.0, streams)
    for found in (ewma_run_length(limits.ewma), cusum_run_length(limits.cusum)):
        assert found == pytest.approx(1000 * streams * KINDS, rel=1e-3)


def test_standardised_days_are_independent_and_normal_after_however_few_days(quiet):
    """Whatever the level and the spread of a line."""
    q = self_started(5 + 3 * quiet[:, :60])
    assert not q[:, :FIRST].any()
    later = q[:, FIRST:]
    assert np.abs(later.mean(axis=0)).max() < 0.07
    assert np.abs(later.std(axis=0) - 1).max() < 0.05
    together = np.corrcoef(later.T) - np.eye(later.shape[1])
    assert np.abs(together).max() < 0.08
    assert (np.abs(later) > 2.576).mean() == pytest.approx(0.01, rel=0.1)


def test_an_estimated_reference_costs_no_false_alarm(quiet):
    """Both charts of four streams, from the ninth day on: no more than promised, and not idle."""
    limits = limits_for(100.0, 4)
    alarms = beyond(self_started(quiet[:, :400]), limits).reshape(-1, 4, 400).any(axis=1)
    alarms = alarms[:, FIRST:]
    assert 95 < run_length(alarms) < 200


def test_a_known_reference_from_so_few_days_would_break_the_promise(quiet):
    """The first ten days' mean and spread taken for the truth: what is done about it matters."""
    ten = quiet[:, :10]
    plain = (quiet[:, 10:] - ten.mean(1, keepdims=True)) / ten.std(1, ddof=1, keepdims=True)
    assert np.median(first(beyond(plain, limits_for(1000.0, 1)))) < 300


@pytest.mark.parametrize("good", [9, 30])
def test_p_values_of_a_few_good_parts_keep_the_promise(good):
    """Steps of 1 / (n + 1), and every line's own few parts: a line's level is its own."""
    rng, limits = np.random.default_rng(1), limits_for(50.0, 1)
    steps = np.array(
        [odd_by_p({"p_value": k / (good + 1), "good_parts": good}) for k in range(1, good + 2)]
    )
    lines, days, parts = 400, 200, 12
    known = np.sort(rng.standard_normal((lines, good)), axis=1)
    scores = rng.standard_normal((lines, days, parts))
    scores[rng.random(scores.shape) < 0.02] += 6  # defects come, as they do
    above = np.array(
        [good - np.searchsorted(one, some, "left") for one, some in zip(known, scores, strict=True)]
    )
    alarms = beyond(self_started(trimmed_means(steps[above])), limits)[:, FIRST:]
    assert run_length(alarms) > 0.9 * 50


def test_a_shift_is_seen_the_sooner_the_larger_it_is():
    limits = limits_for(1000.0, 12)
    found = [delay(limits, shift, 40) for shift in (1.0, 2.0, 4.0)]
    assert found[0].mean > found[1].mean > found[2].mean
    assert found[2].most <= 6
    assert all(one.mean <= one.most for one in found)


def test_what_grows_is_seen_the_sooner_the_faster_it_grows():
    limits = limits_for(1000.0, 12)
    found = [ramp_delay(limits, slope, 40) for slope in (0.1, 0.3, 1.0)]
    assert found[0].mean > found[1].mean > found[2].mean
    assert found[0].most <= PLAYED
    assert delay(limits, 4.0, 40).mean < found[2].mean < delay(limits, 1.0, 40).mean


def test_a_ramp_is_played_through_as_it_is_on_a_line():
    """By a loop over lines that knows nothing of how it is done at once."""
    limits, rng = limits_for(200.0, 1), np.random.default_rng(7)
    waits = []
    for _ in range(300):
        means = rng.standard_normal(160)
        means[20:] += 0.2 * np.arange(1, 141)
        off = beyond(self_started(means), limits)
        waits.append(next(day for day in range(20, 160) if off[day]) - 19)
    stated = ramp_delay(limits, 0.2, 20)
    assert np.mean(waits) == pytest.approx(stated.mean, abs=0.6)
    assert np.mean(np.array(waits) <= stated.most) > 0.9


def test_what_has_alarmed_is_no_reference_for_what_follows():
    rng = np.random.default_rng(2)
    means = np.append(rng.normal(0, 1, 30), rng.normal(4, 1, 60))
    assert self_started(means)[-10:].mean() < 1.5
    assert against(means, 30)[-10:].mean() > 2.5


def test_days_that_are_all_alike_make_no_day_infinite():
    q = self_started(np.append(np.ones(20), 2.0))
    assert np.isfinite(q).all()
    assert not q[:20].any()
    assert q[20] == MOST
