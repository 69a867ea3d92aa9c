"""Worst sites, gains and borrowed rows, on treatments whose sites differ by a known amount."""

import math
from dataclasses import replace

import pytest

from fedad.compare.fairness import (
    all_gains,
    answer,
    borrowed,
    by_site,
    fairness,
    gains,
    nearest,
    spread,
)
from fedad.compare.plan import FEDERATED, ISOLATED
from fedad.evaluation import Rate
from tests.compare.planted import FIGURE, plan_of, treatment

UNEVEN = {"graz": 0.1, "lyon": 0.0}


def test_the_worst_site_the_gap_and_the_spread():
    found = spread(by_site(treatment("a", UNEVEN), FIGURE))
    assert (found["worst"], found["best"]) == ("lyon", "graz")
    assert found["gap"] == pytest.approx(found["best_value"] - found["worst_value"])
    assert found["spread"] == pytest.approx(found["gap"] / 2)
    assert spread({}) == {}


def test_no_site_is_the_worst_that_has_one_kind_of_image_only():
    one = treatment("a", UNEVEN)
    for drawn in one.drawn.values():
        for scope in drawn.images:
            if scope.site == "lyon":
                drawn.images[scope] = drawn.images[scope]._replace(good=0)
    found = fairness(plan_of("a"), [one])[0]["figures"][FIGURE]
    assert found["over_sites"]["worst"] == "graz"
    assert found["sites"]["lyon"]["images"] == 0


def test_did_federation_help_me():
    alone = treatment("isolated", {"graz": 0.0, "lyon": 0.3}, way=ISOLATED, points=("a",))
    found = all_gains(treatment("a", 0.15), alone, [FIGURE])[FIGURE]
    assert found["graz"]["value"] == pytest.approx(0.15, abs=0.003)
    assert found["graz"]["answer"] == "helped"
    assert found["lyon"]["value"] == pytest.approx(-0.15, abs=0.003)
    assert found["lyon"]["answer"] == "hurt"
    assert answer(0.1, 0.2) == answer(0.1, math.nan) == "cannot tell"


def test_two_images_say_nothing_of_a_gain():
    """Both above 0 is a toss of coins, and no redraw of them is ever below."""
    alone, one = treatment("isolated", way=ISOLATED, points=("a",)), treatment("a", 0.15)
    for drawn in (*alone.drawn.values(), *one.drawn.values()):
        for scope, images in drawn.images.items():
            if scope.site == "lyon":
                drawn.images[scope] = images._replace(defective=2)
    found = all_gains(one, alone, [FIGURE])[FIGURE]
    assert found["lyon"]["value"] == pytest.approx(0.15, abs=0.003)
    assert (found["lyon"]["answer"], found["graz"]["answer"]) == ("cannot tell", "helped")
    assert math.isnan(found["lyon"]["low"])


def test_answers_are_corrected_for_all_sites_and_figures():
    """What one site alone would answer, it does not among many figures."""
    alone = treatment("isolated", way=ISOLATED, points=("a",), noise=0.05)
    one = treatment("a", 0.02, noise=0.05)
    for treated in (one, alone):
        for drawn in treated.drawn.values():
            drawn.figures.update(
                {
                    (scope, f"figure {k}"): values
                    for (scope, _), values in list(drawn.figures.items())
                    for k in range(20)
                }
            )
    by_itself = gains(one, alone, FIGURE)["graz"]["p"]
    assert by_itself < 0.05
    among = all_gains(one, alone, [FIGURE, *(f"figure {k}" for k in range(20))])
    assert among[FIGURE]["graz"]["p_holm"] > by_itself
    assert among[FIGURE]["graz"]["p"] == by_itself


def test_one_seed_answers_nothing():
    alone = treatment("isolated", way=ISOLATED, points=("a",), seeds=1)
    found = all_gains(treatment("a", 0.15, seeds=1), alone, [FIGURE])[FIGURE]
    assert found["graz"]["answer"] == "cannot tell"


def test_every_point_is_read_against_its_own_isolated_sites():
    a = treatment("a", 0.1)
    alone = treatment("isolated", way=ISOLATED, points=("a",))
    told = {one["treatment"]: one for one in fairness(plan_of("a"), [_with_sites(a), alone])}
    assert told["a"]["gain"][FIGURE]["graz"]["answer"] == "helped"
    assert "gain" not in told["isolated"]
    assert told["a"]["figures"][FIGURE]["sites"]["lyon"]["images"] == 90


def test_shares_and_rates_are_sums_over_categories_and_seeds():
    one = _with_sites(treatment("a"))
    assert nearest(one)["graz"] == {"graz": 0.75, "lyon": 0.25}
    masking = borrowed(one)["graz"]["masking"]
    assert (masking["cases"], masking["of"], masking["value"]) == (15, 50, 0.3)
    once = Rate.exact(3, 10)
    assert (masking["low"], masking["high"]) == (once.low, once.high)


def test_what_is_rare_is_not_rounded_to_none():
    one = _with_sites(treatment("a"))
    rare = {"bolt": {"masking": {"cases": 1, "of": 10}}}
    for seed in (0, 1):
        record = one.records[seed]
        site = {**record["figures"][FEDERATED]["sites"]["graz"], "borrowed": rare}
        one.records[seed] = {**record, "figures": {FEDERATED: {"sites": {"graz": site}}}}
    for seed in (2, 3, 4):
        none = {"nearest": {}, "borrowed": {"bolt": {"masking": {"cases": 0, "of": 10}}}}
        one.records[seed] = {"figures": {FEDERATED: {"sites": {"graz": none}}}}
    masking = borrowed(one)["graz"]["masking"]
    assert (masking["cases"], masking["of"], masking["value"]) == (2, 50, 0.04)
    assert masking["low"] < 0.04 < masking["high"]


def _with_sites(one):
    """The same record in every seed: two categories at graz, one of them with borrowed rows."""
    rate = {"cases": 3, "of": 10}
    site = {
        "nearest": {"bolt": {"graz": 50, "lyon": 10}, "hose": {"graz": 25, "lyon": 15}},
        "borrowed": {"bolt": {"masking": rate, "relief": {"cases": 0, "of": 10}}},
    }
    records = {
        seed: {**record, "figures": {FEDERATED: {"sites": {"graz": site}}}}
        for seed, record in one.records.items()
    }
    return replace(one, records=records)
