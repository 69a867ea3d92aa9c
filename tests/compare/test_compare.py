"""A whole comparison: what it says, and that no cell is run twice whatever stops it."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.compare import running
from fedad.compare.cells import cell_of, cells_of, distinct
from fedad.compare.compare import compare, comparison
from fedad.compare.features import fill_cache
from fedad.compare.plan import FEDERATED, ISOLATED
from fedad.compare.running import ComparisonError, alone_in
from fedad.config import read
from fedad.embedders.backbone import Backbone
from fedad.errors import ConfigError, DataError
from fedad.messages.file import load
from fedad.plumbing.files import write_json
from fedad.plumbing.progress import Silent
from fedad.reporting.comparison.figures import figures
from fedad.reporting.comparison.printed import print_comparison
from fedad.reporting.markup import NONE
from fedad.reporting.run_folder import BANK, read_comparison, read_record
from tests.compare.planted import plan_of, treatment


def test_every_treatment_has_its_figures_and_every_pair_its_verdict(compared, small):
    found = read_comparison(compared)
    labels = [one["label"] for one in found["treatments"]]
    points = [point.label for point in small.points]
    yardsticks = [
        f"{way}, {t}" for way in ("isolated", "centralised") for t in ("float32", "float16")
    ]
    assert labels == [*points, *yardsticks]
    assert len(found["contrasts"]) == 2 * (1 + 2 + 2)
    for one in found["contrasts"]:
        if one["no_interval"]:
            assert one["low"] is one["high"] is one["p"] is None
            continue
        assert one["low"] <= one["high"]
        assert 0 <= one["p"] <= one["p_holm"] <= 1
    assert {one["treatment"] for one in found["fairness"]} == set(labels)
    assert set(found["value"]) == set(points)


def test_figures_are_those_of_the_records(compared, small):
    """All sites together, mean over categories and seeds: from images as from counts."""
    cells = cells_of(small)
    for one in read_comparison(compared)["treatments"]:
        if one["way"] == FEDERATED:
            records = [
                read_record(cells[one["label"], s, FEDERATED].folder(compared)) for s in (0, 1)
            ]
            for figure, told in one["figures"].items():
                means = [
                    r["figures"]["federated"]["together"]["mean"][figure]["value"] for r in records
                ]
                assert told["together"]["value"] == pytest.approx(np.mean(means), abs=1e-3)
                assert list(told["together_seeds"].values()) == pytest.approx(means, abs=1e-3)


def test_again_runs_no_cell_and_says_the_same(compared, small):
    before = (compared / "comparison.json").read_bytes()
    assert compare(small, compared, via="local", jobs=1, sink=Silent()) == (0, 12)
    assert (compared / "comparison.json").read_bytes() == before


def test_costs_are_of_the_records(compared, small):
    points = {p["label"]: p for p in read_comparison(compared)["pareto"]["points"]}
    full, half = points["float32"], points["float16"]
    record = read_record(cells_of(small)["float32", 0, FEDERATED].folder(compared))
    assert full["mb_moved"] == pytest.approx(sum(record["bytes"].values()) / 1e6, rel=0.02)
    assert half["mb_moved"] < full["mb_moved"]
    assert full["rows"] == 96


def test_an_impossible_use_case_has_no_point(compared):
    first, *_ = read_comparison(compared)["pareto"]["recommended"]
    assert first == {"use_case": "at most 1 kB up a site", "label": None, "ties": []}


def test_what_cannot_be_ranked_is_a_dash_in_the_terminal(compared, capsys):
    """A figure without masks, or isolated sites that have one kind of image only."""
    found = {**read_comparison(compared), "notes": []}
    for one in found["treatments"]:
        one["figures"]["auc_spro_0.05"] |= {"together": None, "by_site": None}
    print_comparison(found)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if "float32" in line).rstrip().endswith(NONE)


def test_brackets_in_names_are_printed(compared, capsys):
    found = read_comparison(compared)
    found["treatments"][0]["label"] = "layers [a, b] [/b]"
    found["notes"] = ["[/note]"]
    print_comparison(found)
    said = capsys.readouterr().out
    assert "layers [a, b] [/b]" in said
    assert "[/note]" in said


def test_what_a_curve_over_sizes_says_stands_on_console_and_page(compared, capsys):
    line = "image_auroc: over isolated sites sharing gains +0.120 at 3 images"
    found = {**read_comparison(compared), "sizes": [{"said": line}]}
    print_comparison(found)
    assert line in " ".join(capsys.readouterr().out.split())
    assert line in figures(found)[0].body
    assert read_comparison(compared)["sizes"] == []  # no point here has another size


def test_isolated_sites_are_one_yardstick_whatever_others_rows_count(small):
    """All scorings are one where nobody has another's rows; so are their own knobs."""
    point = small.points[0]
    config = small.config(point, 0)
    keys = {
        way: {
            cell_of(read({**config.flat(), "score.scoring": name, **more}), way, "").key
            for name, more in (
                ("nearest", {}),
                ("standardised", {}),
                ("own_first", {}),
                ("own_first", {"own_first.factor": 2.0}),
            )
        }
        for way in (FEDERATED, ISOLATED)
    }
    assert {way: len(found) for way, found in keys.items()} == {FEDERATED: 4, ISOLATED: 1}


def test_numbers_are_json(compared):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    json.loads((compared / "comparison.json").read_text(), parse_constant=refuse)


class StopError(KeyboardInterrupt):
    """Pulls the plug: not what befalls one cell alone."""


@pytest.fixture
def counted(monkeypatch):
    """Counts cells that were begun, and stops in the middle of the third."""
    begun, finish = Counter(), running.write_json

    def write(path, value):
        if begun["stop after"] and begun["cells"] == begun["stop after"]:
            begun["stop after"] = 0
            raise StopError
        begun["cells"] += 1
        begun[value["key"]] += 1
        finish(path, value)

    monkeypatch.setattr(running, "write_json", write)
    return begun


def test_an_interrupted_comparison_goes_on_without_doing_a_cell_twice(
    compared, small, counted, tmp_path
):
    some = small.changed(seeds=1, leave_one_out=0)
    every = list(distinct(cells_of(some)))
    counted["stop after"] = 2
    with pytest.raises(StopError):
        compare(some, tmp_path, via="local", jobs=1, sink=Silent())
    done = [cell for cell in every if cell.is_done(tmp_path)]
    assert len(done) == 2
    assert not (tmp_path / "comparison.json").exists()
    written = {cell.key: (cell.folder(tmp_path) / "cell.json").stat().st_mtime_ns for cell in done}
    ran, cells = compare(some, tmp_path, via="local", jobs=1, sink=Silent())
    assert (ran, cells) == (len(every) - 2, len(every))
    assert all(counted[cell.key] == 1 for cell in every)
    for cell in done:
        assert (cell.folder(tmp_path) / "cell.json").stat().st_mtime_ns == written[cell.key]
    for cell in every:  # the cell that was torn is whole, and as in a comparison that never stopped
        ours, theirs = (read_record(cell.folder(root))["figures"] for root in (tmp_path, compared))
        assert ours == theirs


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("a lamp fell on it"), "a lamp fell on it"),
        (OSError(28, "No space left on device"), r"OSError: .*No space left on device"),
        (MemoryError(), "MemoryError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_cells_that_fail_leave_the_others(small, tmp_path, monkeypatch, error, said):
    def run(job):
        if job.cell.way == "isolated":
            raise error
        write_json(job.cell.folder(tmp_path) / "cell.json", {})

    monkeypatch.setattr(running, "run_cell", run)
    cells = list(distinct(cells_of(small)))
    with pytest.raises(ComparisonError, match=rf"4 of 12 cells failed \(isolated .*{said}"):
        running.run_cells(cells, tmp_path, via="local", jobs=1, sink=Silent())
    assert sum(cell.is_done(tmp_path) for cell in cells) == 8


def test_two_comparisons_do_not_share_a_folder(small, tmp_path):
    with alone_in(tmp_path), pytest.raises(ComparisonError, match="another fedad compare"):
        compare(small, tmp_path, via="local", jobs=1, sink=Silent())


def test_what_cannot_be_is_said_before_a_cell_runs(small, tmp_path, monkeypatch):
    too_large = [p.knobs | {"bank.size": 10**6} for p in small.points]
    points = tuple(
        type(p)(p.label, knobs, p.marks) for p, knobs in zip(small.points, too_large, strict=True)
    )
    monkeypatch.setattr(running, "run_cell", lambda job: pytest.fail("a cell was run"))
    with pytest.raises(ConfigError, match=r"bank\.size = 1000000"):
        compare(replace(small, points=points), tmp_path, via="local", jobs=1, sink=Silent())
    monkeypatch.setattr("fedad.compare.compare.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'fedad\[compare\]'"):
        compare(small, tmp_path, via="local", jobs=1, sink=Silent())


@pytest.mark.parametrize("figure", ["image_auroc", "auc_spro_0.05"])
def test_images_without_defects_are_said_before_a_cell_runs(
    small, plants, tmp_path, monkeypatch, figure
):
    good = shutil.copytree(plants, tmp_path / "good")
    for folder in good.glob("*/*/blot"):
        shutil.rmtree(folder)
    points = tuple(
        replace(p, knobs=p.knobs | {"data.dir": str(good), "data.partition": "iid"})
        for p in small.points
    )
    monkeypatch.setattr(running, "run_cell", lambda job: pytest.fail("a cell was run"))
    plan = replace(small, points=points, figures=(figure,))
    with pytest.raises(DataError, match=f"{figure}: no site has .*any labelled defects"):
        compare(plan, tmp_path, via="local", jobs=1, sink=Silent())


def told_by(plan, root, monkeypatch, **options):
    """What a comparison says before its cells, which are not run."""
    said = []
    monkeypatch.setattr("fedad.compare.compare.run_cells", lambda *_, **__: 0)
    monkeypatch.setattr("fedad.compare.compare.fill_cache", lambda *_: None)
    monkeypatch.setattr("fedad.compare.compare.comparison", lambda *_: {})
    compare(plan, root, via="local", jobs=1, sink=Silent(), say=said.append, **options)
    return said


def test_cells_of_other_code_are_run_again_and_it_is_said(compared, small, tmp_path, monkeypatch):
    root = shutil.copytree(compared, tmp_path / "copy")
    assert told_by(small, root, monkeypatch) == []
    monkeypatch.setattr("fedad.compare.cells.of_runs", lambda: "other code")
    assert not any(cell.is_done(root) for cell in distinct(cells_of(small)))
    assert told_by(small, root, monkeypatch) == [
        "12 of the cells here were made by other code or libraries: they are run again"
    ]


def test_a_tracker_that_comes_too_late_is_said(compared, small, tmp_path, monkeypatch):
    root = shutil.copytree(compared, tmp_path / "copy")
    points = tuple(replace(p, knobs=p.knobs | {"round.track": "tensorboard"}) for p in small.points)
    monkeypatch.setattr("fedad.compare.compare.check_tracker", lambda name: None)
    assert told_by(replace(small, points=points), root, monkeypatch) == [
        "round.track: 12 of the cells here were run without it, and are not logged"
    ]


def test_a_comparison_of_other_knobs_is_not_written_over(compared, small, tmp_path, monkeypatch):
    root = shutil.copytree(compared, tmp_path / "copy")
    other = replace(
        small,
        points=tuple(replace(p, knobs=p.knobs | {"score.sigma": 1.0}) for p in small.points),
    )
    with pytest.raises(ConfigError, match=r"comparison of other images or knobs.*--out"):
        compare(other, root, via="local", jobs=1, sink=Silent(), replace=False)
    more = small.changed(seeds=3, leave_one_out=None)
    assert told_by(more, root, monkeypatch, replace=False) == []
    assert told_by(other, tmp_path / "new", monkeypatch, replace=False) == []
    assert told_by(other, root, monkeypatch) == []


def test_every_image_is_embedded_once_before_the_cells(compared, small, tmp_path, monkeypatch):
    """The cells find all features in the cache, whichever comes first."""
    told = read_comparison(compared)["features"]
    assert told["images"] == 2 * 3 * (2 + 2 + 2)
    assert told["seconds"] > 0
    cells = list(distinct(cells_of(small)))
    fresh = [
        replace(
            c, config=replace(c.config, embedder=replace(c.config.embedder, cache=str(tmp_path)))
        )
        for c in cells
    ]
    fill_cache(fresh, tmp_path)
    monkeypatch.setattr(Backbone, "__call__", lambda *_: pytest.fail("an image was embedded again"))
    fill_cache(fresh, tmp_path)
    off = replace(cells[0].config.embedder, cache="off")
    fill_cache([replace(cells[0], config=replace(cells[0].config, embedder=off))], tmp_path / "off")
    assert not (tmp_path / "off").exists()


def test_images_without_defects_compare_nothing(tmp_path, monkeypatch):
    one = treatment("a")
    for drawn in one.drawn.values():
        for values in drawn.figures.values():
            values[:] = np.nan
    monkeypatch.setattr("fedad.compare.compare.treatments", lambda *_: [one])
    with pytest.raises(DataError, match="are there any labelled defects"):
        comparison(plan_of("a"), {}, tmp_path)


def test_perfect_figures_and_pairs_without_a_test_are_noted(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.compare.planted.FIGURE", "pixel_auroc")
    labels = tuple("abcdef")
    some = [_with_records(treatment(label, seeds=2)) for label in labels]
    for drawn in some[1].drawn.values():
        for values in drawn.figures.values():
            values[:] = 1.0
    monkeypatch.setattr("fedad.compare.compare.treatments", lambda *_: some)
    monkeypatch.setattr("fedad.compare.compare._cell", lambda *_: {})
    monkeypatch.setattr("fedad.compare.compare._points", lambda *_: {})
    notes = comparison(plan_of(*labels, seeds=2), {}, tmp_path)["notes"]
    assert len(notes) == 2
    assert notes[0].startswith("6 points: each is compared with the first, a,")
    assert notes[1].startswith("pixel_auroc of b: the same on all redrawn images")


def test_points_on_other_images_are_noted(tmp_path, monkeypatch):
    """As along an axis of data.categories: no test compares them, and the front would."""
    some = [_with_records(treatment(label, seeds=2)) for label in "abc"]
    for drawn in some[1].drawn.values():
        for scope, images in drawn.images.items():
            drawn.images[scope] = images._replace(mark="other")
    monkeypatch.setattr("fedad.compare.compare.treatments", lambda *_: some)
    monkeypatch.setattr("fedad.compare.compare._cell", lambda *_: {})
    monkeypatch.setattr("fedad.compare.compare._points", lambda *_: {})
    found = comparison(plan_of(*"abc", seeds=2), {}, tmp_path)
    assert [(one["first"], one["second"]) for one in found["contrasts"]] == [("a", "c")]
    (note,) = found["notes"]
    assert note.startswith("b: not on the same test images as a")


def _with_records(one):
    return replace(one, cells=dict.fromkeys(one.seeds))


def test_a_folder_without_a_comparison(tmp_path):
    with pytest.raises(DataError, match="not a finished comparison"):
        read_comparison(tmp_path)


@pytest.mark.reliability
def test_side_by_side_and_under_flower_are_the_same_cells(compared, small, tmp_path):
    """Two at a time, and `flwr run` under Ray: the same banks and figures, byte for byte."""
    one = small.changed(seeds=1, leave_one_out=0)
    parallel, flower = tmp_path / "parallel", tmp_path / "flower"
    compare(one, parallel, via="local", jobs=2, sink=Silent())
    compare(one, flower, via="flwr", jobs=2, sink=Silent())
    for cell in distinct(cells_of(one)):
        here = cell.folder(compared)
        for root in (parallel, flower):
            there = cell.folder(root)
            assert read_record(there)["figures"] == read_record(here)["figures"]
            if cell.way == FEDERATED:
                ours, theirs = (
                    load(there / BANK, Bank),
                    load(here / BANK, Bank),
                )
                for name in ("rows", "category", "site", "row", "images", "patches"):
                    assert getattr(ours, name).tobytes() == getattr(theirs, name).tobytes()
