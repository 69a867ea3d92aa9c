"""The front against its definition, use cases, and commands that read back as what they make."""

import itertools
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.common.config import parse_config_args
from hypothesis import given
from hypothesis import strategies as st

from fedad.compare.lines import fedad_line, flwr_line
from fedad.compare.pareto import front, pareto, tied
from fedad.config import read
from fedad.running.overlay import read_config
from tests.compare.planted import plan_of, treatment

ROOT = Path(__file__).parents[2]
POINTS = st.integers(1, 8).flatmap(
    lambda n: st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=n, max_size=n)
)


@given(points=POINTS)
def test_the_front_is_what_no_other_dominates(points):
    def beaten(p):
        return any(q != p and all(a >= b for a, b in zip(q, p, strict=True)) for q in points)

    assert front(np.array(points, float)).tolist() == [not beaten(p) for p in points]


def points_of(plan, *some):
    return {point["label"]: point for point in pareto(plan, some)["points"]}


def test_dearer_and_worse_is_off_the_front_in_every_redraw():
    some = treatment("good"), treatment("bad", -0.1, mb=2.0)
    found = points_of(plan_of("good", "bad"), *some)
    assert (found["good"]["on_front"], found["good"]["often"]) == (True, 1.0)
    assert (found["bad"]["on_front"], found["bad"]["often"]) == (False, 0.0)


def test_dearer_and_better_is_on_it():
    some = treatment("cheap"), treatment("dear", 0.1, mb=2.0, seconds=2.0)
    found = points_of(plan_of("cheap", "dear"), *some)
    assert all(point["on_front"] and point["often"] == 1.0 for point in found.values())
    assert found["dear"]["mb_moved"] == pytest.approx(2.0)
    assert found["dear"]["mb_up_a_site"] == pytest.approx(0.5)


def test_a_coin_toss_is_on_the_front_half_the_time():
    some = treatment("a", noise=0.01), treatment("b", noise=0.01, mb=1.0001)
    often = points_of(plan_of("a", "b"), *some)["b"]["often"]
    assert 0.1 < often < 0.9


@given(costs=st.lists(st.integers(90, 110), min_size=1, max_size=8))
def test_costs_that_are_near_a_cheaper_one_are_that_one(costs):
    found = tied(np.array(costs, float)[:, None], 0.05)[:, 0]
    for cost, brought in zip(costs, found, strict=True):
        assert brought in costs
        assert brought <= cost <= brought * 1.05
    apart = sorted(set(found))
    assert all(b > a * 1.05 for a, b in itertools.pairwise(apart))


def test_noise_in_costs_beats_nobody():
    """Rows that depend on the seed, and a busy machine: equal but for the better figure."""
    some = treatment("a", mb=17.314, seconds=36.0), treatment("b", 0.1, mb=17.327, seconds=37.0)
    found = pareto(plan_of("a", "b"), some)
    assert [point["on_front"] for point in found["points"]] == [False, True]
    wide = pareto(replace(plan_of("a", "b"), margin=0.5), some)
    taken = {one["use_case"]: (one["label"], one["ties"]) for one in wide["recommended"]}
    assert taken["fewest bytes within 0.5 of the best"] == ("b", ["a"])
    assert taken["fastest within 0.5 of the best"] == ("b", ["a"])


def test_seconds_of_cells_side_by_side_are_not_compared():
    some = treatment("slow", 0.1, seconds=9.0), treatment("fast", seconds=1.0)
    assert points_of(plan_of("slow", "fast"), *some)["fast"]["on_front"]
    busy = [replace(one, beside=2) for one in some]
    found = pareto(plan_of("slow", "fast"), busy)
    assert "seconds" not in found["axes"]
    assert [point["on_front"] for point in found["points"]] == [True, False]
    assert not any("fastest" in one["use_case"] for one in found["recommended"])


def test_seconds_of_cells_run_in_two_ways_are_not_compared():
    """Begun in this process and finished under Flower, which takes its time to start."""
    some = treatment("a"), replace(treatment("b", seconds=9.0), via=frozenset({"local", "flwr"}))
    assert "seconds" not in pareto(plan_of("a", "b"), some)["axes"]
    flower = [replace(one, via=frozenset({"flwr"})) for one in some]
    assert "seconds" in pareto(plan_of("a", "b"), flower)["axes"]


def test_use_cases_choose_by_their_limits():
    some = (
        treatment("small", mb=1.0),
        treatment("fair", {"graz": 0.05, "lyon": 0.05}, mb=10.0),
        treatment("best", {"graz": 0.2, "lyon": 0.0}, mb=20.0),
    )
    wishes = {
        "at most 3 MB up a site": {"at-most": {"mb_up_a_site": 3}},
        "at most 0.1 MB": {"at-most": {"mb_moved": 0.1}},
        "cheapest": {"most": "mb_moved"},
    }
    plan = replace(plan_of("small", "fair", "best"), recommend=wishes)
    found = {one["use_case"]: one["label"] for one in pareto(plan, some)["recommended"]}
    assert found == {
        "at most 3 MB up a site": "fair",
        "at most 0.1 MB": None,
        "cheapest": "small",
        "best figure": "best",
        "worst site first": "fair",
        "fewest bytes within 0.01 of the best": "best",
        "fastest within 0.01 of the best": "best",
    }


KNOBS = {
    "data.dataset": "autovi",
    "data.dir": "/data/the parts",
    "data.partition": "dirichlet",
    "data.alpha": 0.3,
    "data.sites": 4,
    "coreset.local-ratio": 0.2,
    "merge.aggregation": "concatenate",
    "round.name": "it's a try",
}


def test_the_flwr_line_reads_back_as_the_configuration():
    words = shlex.split(flwr_line(read(KNOBS), 4))
    assert words[1:5] == ["flwr", "run", ".", "--stream"]
    told = dict(zip(words[5::2], words[6::2], strict=True))
    assert "num-supernodes=4" in told["--federation-config"]
    assert read(parse_config_args([told["--run-config"]])) == read(KNOBS)


def test_the_fedad_line_reads_back_as_the_configuration():
    program, run, _, *options = shlex.split(fedad_line(read(KNOBS)))
    assert (program, run) == ("fedad", "run")
    assert read_config(None, options[1::2]) == read(KNOBS)


@pytest.mark.parametrize("name", ["2024", "2024-05-01", "true", "007", "[1]", " a ", "\N{WRENCH}"])
def test_names_that_look_like_something_else_read_back_as_names(name):
    config = read({"round.name": name, "data.categories": name})
    told = shlex.split(flwr_line(config, 3))[-1]
    assert read(parse_config_args([told])) == config
    _, _, demo, *options = shlex.split(fedad_line(config))
    assert read_config(ROOT / demo, options[1::2]) == config
