"""Thresholds that follow operators' verdicts keep the wished rate, whatever drifts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.evaluation import threshold
from fedad.evaluation.adaptive import STEP, WINDOW, Adaptive, furthest

RATE = 0.1


def followed(scores, calibrating):
    state = Adaptive.of(calibrating, RATE)
    for score in scores:
        state = state.after(score)
    return state


def test_without_a_verdict_it_is_the_calibrated_threshold():
    good = np.random.default_rng(0).normal(size=40)
    assert Adaptive.of(good, RATE).threshold == threshold(good, RATE)


@pytest.mark.parametrize(
    "drift",
    [
        pytest.param(lambda t: 0.003 * t, id="soiling"),
        pytest.param(lambda t: 3.0 * (t > 700), id="a new lamp"),
        pytest.param(lambda t: 2 * np.sin(t / 150), id="day and night"),
        pytest.param(lambda t: 0.0 * t, id="none"),
    ],
)
def test_the_long_run_rate_is_kept_under_drift_where_a_fixed_threshold_loses_it(drift, request):
    """With `-s` it prints the rows of docs/thresholds.md."""
    times, fixed, adaptive = np.arange(2000), [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scores, calibrating = rng.normal(size=2000) + drift(times), rng.normal(size=36)
        state = followed(scores.tolist(), calibrating.tolist())
        adaptive.append(state.stopped / state.seen)
        fixed.append(np.mean(scores > threshold(calibrating, RATE)))
    mean, low, high = np.mean(adaptive), min(adaptive), max(adaptive)
    name = request.node.callspec.id
    print(f"| {name} | {np.mean(fixed):.3f} | {mean:.3f} ({low:.3f} to {high:.3f}) |")
    assert np.abs(np.array(adaptive) - RATE).max() < 0.02
    if np.ptp(drift(times)) > 1:
        assert np.mean(fixed) > RATE + 0.05


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_no_scores_take_the_rate_farther_than_the_bound(scores):
    state = followed(scores, [0.0] * 20)
    assert abs(state.stopped / len(scores) - RATE) <= furthest(len(scores))


def test_the_bound_is_reached_by_nobody_but_nearly_by_an_adversary():
    """Who always scores above the threshold is stopped until the level says that nobody is."""
    state = Adaptive.of([0.0] * 20, RATE)
    while (above := state.threshold) < math.inf:
        state = state.after(above + 1)
    assert state.level < RATE
    assert state.after(1e9).stopped == state.stopped  # nothing is above an infinite threshold
    assert state.stopped <= RATE / (STEP * (1 - RATE)) + 1


def test_only_the_newest_scores_count():
    state = followed([5.0] * WINDOW, [0.0] * 20)
    assert set(state.scores) == {5.0}
    assert len(state.scores) == WINDOW
