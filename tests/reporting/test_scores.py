"""The histogram of image scores takes any real score, as counts do."""

import json
import re
from functools import reduce
from operator import add

import numpy as np
import pytest

from fedad.evaluation import Counts, Scored, curves
from fedad.reporting.scores import EVERY, Scores, histogram, of_curve

KINDS = {
    "distances": ([0.0, 1.2, 1.5], [2.5, 3.0], True),
    "logits": ([-4.0, -2.0], [0.5, 3.0], False),
    "log likelihoods": ([-1010.0, -1005.0], [-990.0], False),
    "close together": ([1000.0, 1000.5], [1001.0], False),
    "tiny": ([1e-30, 2e-30], [9e-30], False),
    "all alike": ([5.0, 5.0], [5.0], False),
    "huge": ([-3e38], [3e38], False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_score_is_in_a_bar_between_the_ends_of_the_axis(kind):
    good, bad, log = KINDS[kind]
    plot, box = histogram("bolt", {EVERY: Scores(good, bad, good[-1])})
    told = json.loads(re.search(r"<script[^>]*>(.*?)</script>", box, re.DOTALL)[1])
    assert told["log"] is log
    assert told["low"] < max(good + bad) < told["high"]
    assert log or told["low"] < min(good + bad)
    assert [sum(row[k] for row in plot.rows) for k in (2, 3)] == [len(good), len(bad)]
    assert log or max(row[2] for row in plot.rows) < len(good) or len({*good}) == 1
    assert "nan" not in box.lower()


def test_scores_come_back_from_curves_to_the_width_of_their_bins():
    good, bad = [-3.25, -1.0, 0.0], [0.5, 1000.7]
    counts = reduce(
        add,
        (
            Counts.of(Scored(np.full((1, 1), score, np.float32), regions, "bolt", defect))
            for scores, regions, defect in ((good, (), "good"), (bad, None, "missing"))
            for score in scores
        ),
    )
    found = of_curve(curves(counts), len(good), len(bad))
    assert sorted(found.good) == pytest.approx(good, rel=2**-16)
    assert sorted(found.bad) == pytest.approx(bad, rel=2**-16)
