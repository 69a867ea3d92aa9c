"""Members beside ensembles: differences, who carries a product, and the survey as it is run."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fedad.compare import members
from fedad.compare.compare import compare
from fedad.compare.drawn import TOGETHER, Scope, draw, judged_of, kinds_of
from fedad.compare.members import families, members_of
from fedad.compare.plan import Point, read_plan
from fedad.drawing.plan import DrawingPlan
from fedad.drawing.provide import provide
from fedad.drawing.sets import drawn_set
from fedad.plumbing.progress import Silent
from fedad.reporting.comparison.page import sections, tables
from fedad.reporting.comparison.printed import print_comparison
from fedad.reporting.per_image import read_per_image
from fedad.reporting.report import report
from fedad.reporting.run_folder import read_comparison, read_record
from tests.compare.planted import FIGURE, plan_of, treatment

SURVEY = Path(__file__).parents[2] / "configs/compare/survey.yaml"
WANTED = ("patchcore", "subspace", "weighted", "mean")


def planted(monkeypatch, shifts, joint, **points):
    """What is told of members with these figures above .8, and of an ensemble of all of them."""
    monkeypatch.setattr(members, "shared_kinds", lambda *_: [])
    names = {"a": "patchcore", "b": "subspace", "c": "gaussian"}
    knobs = {label: names[label] for label in shifts} | {
        "all": ",".join(names[label] for label in shifts)
    }
    labels = tuple(
        Point(label, {"round.method": "ensemble", "ensemble.members": of}, {"run": label})
        for label, of in knobs.items()
    )
    plan = replace(plan_of(*knobs), points=labels)
    some = [treatment(label, shift) for label, shift in shifts.items()]
    (told,) = members_of(plan, [*some, treatment("all", joint)], Path())
    return told


def test_an_ensemble_above_all_its_members_is_not_below_its_best(monkeypatch):
    told = planted(monkeypatch, {"a": 0.05, "b": 0.0, "c": 0.02}, 0.08)
    (one,) = told["ensembles"]
    assert one["members"] == ["patchcore", "subspace", "gaussian"]
    found = one[FIGURE]
    assert (found["best"], one["not_below"]) == ("patchcore", True)
    assert found["less_best"]["value"] == pytest.approx(0.03, abs=0.002)
    assert 0 < found["less_best"]["low"] < found["less_best"]["value"] < found["less_best"]["high"]
    assert found["less_median"]["value"] == pytest.approx(0.06, abs=0.002)
    (below,) = planted(monkeypatch, {"a": 0.05, "b": 0.0, "c": 0.02}, 0.04)["ensembles"]
    assert not below["not_below"]
    assert below[FIGURE]["less_best"]["high"] < 0 < below[FIGURE]["less_median"]["low"]


def test_a_product_is_carried_by_who_is_told_apart_from_all_others_else_nobody_can_tell(
    monkeypatch,
):
    for one in planted(monkeypatch, {"a": 0.05, "b": 0.0, "c": 0.02}, 0.03)["carriers"]:
        assert (one["best"], one["not_apart"]) == ("patchcore", [])
        assert one["leads"]["gaussian"]["low"] > 0
    alike = planted(monkeypatch, {"a": 0.05, "b": 0.0, "c": 0.05}, 0.03)["carriers"]
    assert len(alike) == 3
    for one in alike:
        assert one["not_apart"] == ["gaussian" if one["best"] == "patchcore" else "patchcore"]


def test_members_stand_beside_the_ensembles_that_differ_along_their_axis_alone():
    base = {"round.method": "ensemble"}
    points = tuple(
        Point(f"{m}, {c}", {**base, "ensemble.members": m, "ensemble.combine": c},
              {"ensemble.members": m, "ensemble.combine": c})
        for m in ("patchcore", "subspace", "patchcore,subspace")
        for c in ("mean", "rank")
    )  # fmt: skip
    plan = replace(plan_of(*(p.label for p in points)), points=points)
    some = {point.label: treatment(point.label, seeds=1) for point in points}
    one, other = families(plan, some)
    assert [t.label for t in one.alone.values()] == ["patchcore, mean", "subspace, mean"]
    assert [*one.joint] == ["patchcore,subspace, mean"]
    assert [*other.joint] == ["patchcore,subspace, rank"]
    alone = replace(plan, points=points[:4])
    assert [*families(alone, some)] == []
    plain = replace(plan_of("a", "b"), points=plan_of("a", "b").points)
    assert [*families(plain, {})] == []


@pytest.fixture(scope="module")
def survey(knobs, tmp_path_factory):
    """The folder of some points of `configs/compare/survey.yaml`, on a drawn part with kinds."""
    root, drawn = tmp_path_factory.mktemp("angle") / "set", drawn_set("angle")
    provide(root, drawn, DrawingPlan(size=64, train=10, good=8, defective=12, sites=1))
    own = {
        **knobs,
        "data.dataset": "mvtec_loco",
        "data.dir": str(root),
        "data.partition": "iid",
        "data.sites": 2,
        "score.replicates": 2,
        "ensemble.draws": 1,
    }
    own_knobs = [f"{key}={value}" for key, value in own.items()]
    plan = read_plan(SURVEY, own_knobs)
    points = tuple(
        replace(p, knobs={**p.knobs, "ensemble.members": "patchcore,subspace"})
        if p.label in ("weighted", "mean")
        else p
        for p in plan.points
        if p.label in WANTED
    )
    plan = replace(plan, points=points, seeds=(0,), yardsticks=(), replicates=40)
    folder = tmp_path_factory.mktemp("survey")
    compare(plan, folder, via="local", jobs=1, sink=Silent())
    return folder


@pytest.fixture(scope="module")
def told(survey):
    (found,) = read_comparison(survey)["members"]
    return found


def test_the_survey_says_members_against_ensembles_by_kind(told):
    kinds = ["", "logical", "structural"]
    assert told["kinds"] == kinds
    assert [(one["label"], one["kind"]) for one in told["ensembles"]] == [
        (label, kind) for kind in kinds for label in ("weighted", "mean")
    ]
    assert [one["member"] for one in told["alone"]] == ["patchcore", "subspace"] * 3
    for figure in told["figures"]:
        alone = {(one["member"], one["kind"]): one[figure]["value"] for one in told["alone"]}
        for one in told["ensembles"]:
            of = [alone[name, one["kind"]] for name in one["members"]]
            found, best = one[figure], alone[one[figure]["best"], one["kind"]]
            assert best == max(of)
            assert found["less_best"]["value"] == pytest.approx(found["value"] - best)
            assert found["less_median"]["value"] == pytest.approx(found["value"] - np.median(of))
            assert one[figure]["less_best"]["no_interval"] or (
                found["less_best"]["low"] <= found["less_best"]["value"]
            )


def test_figures_of_a_kind_are_those_of_its_images(survey, told):
    """Image AUROC of good images and those of the kind alone, counted by pairs."""
    cell = next(one for one in read_comparison(survey)["cells"] if one["treatment"] == "patchcore")
    folder = survey / cell["folder"]
    kept = [read_per_image(path.parent) for path in folder.glob("sites/*/images.safetensors")]
    assert kinds_of(folder) == ["logical", "structural"]
    for kind in kinds_of(folder):
        judged = judged_of(kept, "angle", kind)
        good, bad = judged.score[judged.good], judged.score[~judged.good]
        assert (len(good), len(bad)) == (16, 12)
        pairs = (bad[:, None] > good).mean() + 0.5 * (bad[:, None] == good).mean()
        drawn = draw(folder, ["image_auroc", "auc_spro_0.05"], 40, together=True, kind=kind)
        scope = Scope(TOGETHER, "angle")
        assert drawn.figures[scope, "image_auroc"][0] == pytest.approx(pairs)
        (one,) = [o for o in told["alone"] if (o["member"], o["kind"]) == ("patchcore", kind)]
        assert one["image_auroc"]["value"] == pytest.approx(pairs)
        (found,) = read_record(folder)["figures"].values()
        recorded = found["together"]["categories"]["angle"]["by_kind"][kind]["figures"]
        value = recorded["auc_spro_0.05"]["value"]
        assert drawn.figures[scope, "auc_spro_0.05"][0] == pytest.approx(value)


def test_what_drawn_defects_say_stands_beside_it(told):
    (weights,) = [told["drawn"][label] for label in told["drawn"]]
    assert [*told["drawn"]] == ["weighted"]
    for shares in weights["angle"].values():
        assert {*shares} == {"patchcore", "subspace"}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)


class Words(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.said = []
        self.feed(text)

    def handle_data(self, data):
        self.said.append(data)


def test_page_terminal_and_tables_for_papers_say_it(survey, capsys):
    page = report(survey)
    text = page.read_text()
    assert '<section id="members"' in text
    words = " ".join(Words(text).said)
    for said in ("weighted, logical", "member patchcore, structural", "carried by", "not below"):
        assert said in words
    print_comparison(read_comparison(survey))
    out = capsys.readouterr().out
    assert "Ensembles against their members" in out
    assert "Which member carries each product" in out
    for name in ("carriers", "members"):
        assert ", structural" in (page.parent / f"tables/{name}.md").read_text()
    assert (page.parent / "plots/members-auc_spro_0.05.csv").exists()


def test_a_comparison_without_ensembles_has_no_such_section(survey):
    found = {**read_comparison(survey), "members": []}
    assert "members" not in [section.id for section, _ in sections(found)]
    del found["members"]  # made before there was one
    assert "members" not in [section.id for section, _ in sections(found)]
    assert "carriers.md" not in tables(found)
