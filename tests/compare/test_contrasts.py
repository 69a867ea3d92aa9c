"""A planted difference is found, a planted tie is declared equal, and what is neither is said."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fedad.compare.contrasts import contrasts, pairs, rankings, unranked
from fedad.compare.drawn import TOGETHER, Drawn, Scope
from fedad.compare.plan import CENTRALISED, ISOLATED
from tests.compare.planted import FIGURE, plan_of, treatment


def verdicts(*some, **options):
    found = contrasts(plan_of(*(one.label for one in some), **options), some)
    return {(one["first"], one["second"]): one for one in found}


def test_a_planted_difference_is_found():
    one = verdicts(treatment("a"), treatment("b", 0.05))["a", "b"]
    assert one["verdict"] == "lower"
    assert one["low"] < -0.05 < one["high"] < 0
    assert one["difference"] == pytest.approx(-0.05, abs=0.002)
    assert one["p_holm"] < 0.01
    assert math.isnan(one["p_sets"])  # three sets of test images, whatever the seeds
    assert math.isnan(one["rank_biserial"])  # three are too few to tell of scatter
    assert one["sets"] == 3


def test_a_planted_tie_is_declared_equivalent():
    one = verdicts(treatment("a"), treatment("b"))["a", "b"]
    assert one["verdict"] == "equivalent"
    assert one["p_equal"] < 0.05
    assert -0.01 < one["low_90"] < one["high_90"] < 0.01


def test_a_difference_below_the_margin_is_both():
    one = verdicts(treatment("a", 0.004), treatment("b"))["a", "b"]
    assert one["verdict"] == "higher, by less than the margin"


def test_much_noise_says_nothing():
    one = verdicts(treatment("a", noise=0.5), treatment("b", noise=0.5))["a", "b"]
    assert one["verdict"] == "cannot tell"


def test_one_seed_says_nothing_of_others():
    some = treatment("a", seeds=1), treatment("b", 0.05, seeds=1)
    one = verdicts(*some, seeds=1)["a", "b"]
    assert one["verdict"] == "cannot tell"
    assert math.isnan(one["p"])
    assert "one seed says nothing of others: no p" in one["warnings"]


def test_treatments_that_are_one_and_the_same_are_not_surely_equal():
    """Alike on 180 images: a share of 1 % on which they differ would be missed in 16 %."""
    a = treatment("a")
    one = verdicts(a, replace(a, label="b", points=("b",)))["a", "b"]
    assert one["p_equal"] == pytest.approx(0.99**180)
    assert one["verdict"] == "cannot tell"
    assert math.isnan(one["p"])
    assert "alike on all redrawn images" in one["warnings"][0]
    wider = verdicts(a, replace(a, label="b", points=("b",)), margin=0.02)["a", "b"]
    assert wider["verdict"] == "equivalent"


def test_holm_grows_with_the_family():
    labels = ("a", "b", "c", "d")
    shifts = dict(zip(labels, (0.0, 0.001, 0.002, 0.05), strict=True))
    two = verdicts(treatment("a"), treatment("b", 0.001))["a", "b"]
    six = verdicts(*(treatment(label, shift) for label, shift in shifts.items()))
    assert len(six) == 6
    assert six["a", "b"]["p"] == two["p"]
    assert six["a", "b"]["p_holm"] >= two["p_holm"]
    assert six["a", "d"]["verdict"] == "lower"


def test_many_points_are_compared_with_the_first():
    some = [treatment(str(k), seeds=1) for k in range(7)]
    assert [(a.label, b.label) for a, b in pairs(some)] == [(str(k), "0") for k in range(1, 7)]


def test_points_meet_their_own_yardsticks():
    points = treatment("a"), treatment("b")
    alone = treatment("isolated", -0.2, way=ISOLATED, points=("a", "b"))
    all_ = treatment("centralised, a", way=CENTRALISED, points=("a",))
    assert [(a.label, b.label) for a, b in pairs([*points, alone, all_])] == [
        ("a", "b"),
        ("a", "centralised, a"),
        ("a", "isolated"),
        ("b", "isolated"),
    ]


def test_isolated_sites_are_compared_site_by_site():
    alone = treatment("isolated", {"graz": -0.3, "lyon": -0.1}, way=ISOLATED, points=("a",))
    one = verdicts(treatment("a"), alone)["a", "isolated"]
    assert not one["together"]
    assert one["difference"] == pytest.approx(0.2, abs=0.002)
    assert one["verdict"] == "higher"


def test_blocks_on_other_images_are_left_out():
    a, b = treatment("a"), treatment("b", 0.05)
    scope = Scope(TOGETHER, "bolt")
    other = {
        seed: Drawn(one.figures, {**one.images, scope: one.images[scope]._replace(mark="other")})
        for seed, one in b.drawn.items()
    }
    assert verdicts(a, replace(b, drawn=other))["a", "b"]["sets"] == 2


def test_a_block_with_nothing_to_rank_is_left_out():
    a, b = treatment("a"), treatment("b", 0.05)
    key = (Scope(TOGETHER, "bolt"), FIGURE)
    none = {
        seed: Drawn({**one.figures, key: np.full(301, math.nan)}, one.images)
        for seed, one in b.drawn.items()
    }
    assert verdicts(a, replace(b, drawn=none))["a", "b"]["sets"] == 2


def test_ranking_puts_the_planted_best_first(monkeypatch):
    six = tuple(f"part {k}" for k in range(6))
    monkeypatch.setattr("tests.compare.planted.CATEGORIES", six)
    some = treatment("a"), treatment("b", 0.05), treatment("c")
    together, by_site = rankings(plan_of("a", "b", "c"), some)
    assert together["sets"] == 6
    assert unranked(some, [together]) == ""
    assert together["together"]
    assert not by_site["together"]
    for found in (together, by_site):
        assert found["p"] < 0.01
        assert next(iter(found["ranks"])) == "b"
        assert ["a", "c"] in [sorted(group) for group in found["groups"]]


def test_three_products_are_not_ranked_however_many_seeds():
    some = treatment("a"), treatment("b", 0.05), treatment("c")
    assert rankings(plan_of("a", "b", "c"), some) == []
    assert unranked(some, []).startswith("3 sets of test images: no Friedman test")
    assert unranked(some[:2], []) == ""


def test_two_treatments_are_not_ranked():
    assert rankings(plan_of("a", "b"), [treatment("a"), treatment("b")]) == []
