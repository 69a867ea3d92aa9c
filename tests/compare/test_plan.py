"""Matrices: every shipped one reads, axes need no code, and what is wrong is named before a run."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedad.cli import app
from fedad.compare.cells import cells_of, data_identity, distinct, made_with
from fedad.compare.chances import chance
from fedad.compare.contrasts import pairs
from fedad.compare.plan import CENTRALISED, FEDERATED, ISOLATED, read_plan
from fedad.compare.running import Job, run_cell
from fedad.compare.statistics import ALPHA, too_few
from fedad.errors import ConfigError, DataError
from fedad.running.overlay import flat, read_toml
from tests.compare.planted import treatment

ROOT = Path(__file__).parents[2]
MATRICES = sorted((ROOT / "configs" / "compare").glob("*.yaml"))


def write(folder, text):
    path = folder / "matrix.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.stem)
def test_every_shipped_matrix_reads_and_opens_with_what_to_expect(path):
    plan = read_plan(path)
    assert len(plan.points) > 1
    assert "Expect:" in plan.purpose
    assert "TODO" not in plan.purpose
    assert f"fedad compare configs/compare/{path.name}" in plan.purpose


def test_the_matrices_that_are_shipped():
    assert [path.stem for path in MATRICES] == [
        "autovi",
        "bytes",
        "cost",
        "experts",
        "feddymem",
        "gain",
        "gain_natural",
        "merges",
        "methods",
        "own",
        "partitions",
        "privacy",
        "reconpatch",
        "survey",
        "systems",
        "weighting",
    ]
    partitions = read_plan(ROOT / "configs" / "compare" / "partitions.yaml")
    assert [point.label for point in partitions.points] == [
        "iid",
        "category",
        "dirichlet 1",
        "dirichlet 0.3",
        "dirichlet 0.1",
        "natural",
    ]


def test_points_are_all_combinations_and_any_knob_is_an_axis(tmp_path):
    text = "axes: {wire.dtype: [float32, float16], bank.size: [100, 200], score.q: [2, 3]}"
    plan = read_plan(write(tmp_path, text), ["score.sigma=1.0"])
    assert [point.label for point in plan.points][:3] == [
        "float32, size 100, q 2",
        "float32, size 100, q 3",
        "float32, size 200, q 2",
    ]
    configs = [plan.config(point, 7) for point in plan.points]
    assert {(c.wire.dtype, c.bank.size, c.score.q) for c in configs} == {
        (dtype, size, q) for dtype in ("float32", "float16") for size in (100, 200) for q in (2, 3)
    }
    assert {(c.round.seed, c.score.sigma) for c in configs} == {(7, 1.0)}


def test_the_base_the_set_and_the_axes_in_that_order(tmp_path):
    shutil.copy(ROOT / "configs" / "demo.toml", tmp_path / "base.toml")
    text = "base: base.toml\nset: {wire.dtype: float16}\naxes: {s: {small: {bank.size: 9}}}"
    (point,) = read_plan(write(tmp_path, text)).points
    assert (
        point.knobs["data.partition"] == flat(read_toml(tmp_path / "base.toml"))["data.partition"]
    )
    assert (point.knobs["wire.dtype"], point.knobs["bank.size"]) == ("float16", 9)


WRONG = {
    "axis: {}": "axis: there is no such key (did you mean 'axes'?)",
    "axes: [1]": "axes: [1]: expected a valid dictionary",
    "axes: {bank.size: 3}": "axes: bank.size: expected a knob with a list",
    "axes: {bank.sise: [3]}": "bank.sise: there is no such knob",
    "axes: {bank.size: [-3]}": "bank.size = -3",
    "axes: {bank.size: [3, 3]}": "two points have one label",
    "seeds: 0": "seeds: 0",
    "seeds: [1, 1]": "seeds = [1, 1]: expected how many, or a list of different numbers",
    "margin: wide": "margin: 'wide': expected a valid number",
    "figures: [auc_spro]": "figures: there is no 'auc_spro'",
    "yardsticks: [alone]": "yardsticks: there is no 'alone'",
    "recommend: {cheap: {at-most: {megabytes: 3}}}": "recommend: cheap: there is no 'megabytes'",
    "recommend: {cheap: {at_most: {seconds: 3}}}": "no 'at_most' (did you mean 'at-most'?)",
    "recommend: {cheap: {at-most: {seconds: 5 s}}}": "seconds: '5 s': expected a number",
    "recommend: {cheap: {at-most: {seconds: true}}}": "seconds: True: expected a number",
    "recommend: {cheap: {at-most: [seconds]}}": "at-most: ['seconds']: expected costs and numbers",
    "recommend: {cheap: {at-most: 5}}": "at-most: 5: expected costs and numbers",
    "recommend: {cheap: {most: [figure]}}": "recommend: cheap: there is no ['figure']",
    "yardsticks: [isolated, isolated]": "yardsticks: ['isolated', 'isolated']: one of them",
    "axes: {round.seed: [1, 2]}": "round.seed: every point runs with each of the seeds",
    "set: {round.seed: 3}": "round.seed: every point runs with each of the seeds",
    "axes: {round.track: ['', mlflow]}": "'as configured' and 'mlflow' are one run",
    "axes: {embedder.cache: [/a, /b]}": "'/a' and '/b' are one run",
    "base: nowhere.toml": "nowhere.toml: cannot be read",
    "- 1": "expected keys such as axes and seeds",
    "a: [": "not YAML",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=list(WRONG))
def test_what_is_wrong_is_said_on_one_line(tmp_path, text, said):
    with pytest.raises(ConfigError) as error:
        read_plan(write(tmp_path, text))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.stem)
def test_every_shipped_matrix_can_reach_a_verdict(path):
    """On the demo plants, with a yardstick of its own for each point: redraws that are enough for
    the smallest p of a family, and seeds that say something of others."""
    plan = read_plan(path)
    some = [treatment(point.label) for point in plan.points]
    for way in plan.yardsticks:
        some += [
            treatment(f"{way}, {point.label}", way=way, points=(point.label,))
            for point in plan.points
        ]
    comparisons = len(list(pairs(some)))
    drawn = np.random.default_rng(0).normal(1.0, 0.01, 1 + plan.replicates)
    assert chance(drawn, 60, len(plan.seeds)) * comparisons < ALPHA
    assert too_few(len(plan.seeds), 20) == []


def test_the_seed_cannot_be_set(tmp_path):
    path = write(tmp_path, "axes: {wire.dtype: [float32]}")
    with pytest.raises(ConfigError, match=r"round\.seed: every point runs with each.*--seeds"):
        read_plan(path, ["round.seed=7"])


def test_a_varied_knob_cannot_be_set(tmp_path):
    path = write(tmp_path, "axes: {bank.size: [1, 2]}")
    with pytest.raises(ConfigError, match=r"-c bank\.size: the matrix varies it"):
        read_plan(path, ["bank.size=3"])
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(tmp_path / "none.yaml")


def test_seeds_and_sites_left_out_can_be_fewer(tmp_path):
    plan = read_plan(write(tmp_path, "axes: {wire.dtype: [float32]}"))
    assert (plan.seeds, plan.leave_one_out) == ((0, 1, 2, 3, 4), 1)
    fewer = plan.changed(seeds=2, leave_one_out=0)
    assert (fewer.seeds, fewer.leave_one_out) == ((0, 1), 0)
    assert plan.changed(seeds=None, leave_one_out=None) == plan


@pytest.fixture
def plan_at(plants, tmp_path):
    def read(
        folder=plants, text="axes: {merge.aggregation: [concatenate, federated_coreset]}", *more
    ):
        knobs = [f"data.dir={folder}", "data.dataset=autovi", "embedder.weights=random", *more]
        return read_plan(write(tmp_path, text), knobs).changed(seeds=2, leave_one_out=None)

    return read


def keys(plan):
    return [cell.key for cell in cells_of(plan).values()]


def test_points_share_the_yardsticks_that_do_not_depend_on_them(plan_at):
    cells = cells_of(plan_at())
    assert len(cells) == 2 * 2 * 3
    assert len(list(distinct(cells))) == 2 * 2 + 2 * 2
    for seed in (0, 1):
        for way in (ISOLATED, CENTRALISED):
            assert cells["concatenate", seed, way] == cells["federated_coreset", seed, way]
        one, other = (cells[p, seed, FEDERATED] for p in ("concatenate", "federated_coreset"))
        assert one.key != other.key


def test_isolated_sites_do_not_depend_on_the_size_of_the_bank(plan_at):
    cells = cells_of(plan_at(text="axes: {bank.size: [20, 40]}"))
    assert cells["size 20", 0, ISOLATED].key == cells["size 40", 0, ISOLATED].key
    assert cells["size 20", 0, CENTRALISED].key != cells["size 40", 0, CENTRALISED].key


def test_a_cell_is_known_by_content_wherever_the_images_are(plan_at, plants, tmp_path):
    copy = shutil.copytree(plants, tmp_path / "copy")
    assert keys(plan_at(copy)) == keys(plan_at())
    image = next(copy.rglob("*.png"))
    image.write_bytes(image.read_bytes() + b" ")
    assert not set(keys(plan_at(copy))) & set(keys(plan_at()))


def test_where_things_are_kept_makes_no_other_cell_but_a_knob_does(plan_at, plants, tmp_path):
    axes = "axes: {merge.aggregation: [concatenate]}"
    plain = keys(plan_at(plants, axes))
    ways = f"embedder.cache={tmp_path}", "round.track=tensorboard"
    assert keys(plan_at(plants, axes, *ways)) == plain
    assert not set(keys(plan_at(plants, axes, "score.sigma=1.0"))) & set(plain)


@pytest.mark.parametrize("what", ["device", "threads", "numpy", "pillow", "timm", "torch"])
def test_a_cell_is_of_its_libraries_device_and_threads(what, plan_at, monkeypatch):
    plain, told = keys(plan_at()), made_with("cpu")
    assert told[what]
    monkeypatch.setattr("fedad.compare.cells.made_with", lambda device: {**told, what: "another"})
    other = cells_of(plan_at())
    assert not {cell.key for cell in other.values()} & set(plain)
    monkeypatch.undo()
    assert {cell.content for cell in other.values()} == {
        cell.content for cell in cells_of(plan_at()).values()
    }


@pytest.mark.parametrize("harm", ["changed", "gone", "new"])
def test_images_that_change_while_a_comparison_goes_on_are_refused(harm, plan_at, plants, tmp_path):
    copy = shutil.copytree(plants, tmp_path / "copy")
    cell = next(iter(cells_of(plan_at(copy)).values()))
    cell.check_images()
    image = sorted((copy / "bolt/test/blot").rglob("*.png"))[0]
    if harm == "changed":
        image.write_bytes(image.read_bytes() + b" ")
    elif harm == "gone":
        image.unlink()
    else:
        shutil.copy(image, image.with_name("9999.png"))
    with pytest.raises(DataError, match="changed while the comparison went on"):
        run_cell(Job(cell, tmp_path / "root", "local"))
    assert not cell.is_done(tmp_path / "root")


def test_the_list_of_sites_is_content(plants, tmp_path):
    copy = shutil.copytree(plants, tmp_path / "copy")
    (copy / "bolt" / "sites.csv").write_text(
        (copy / "bolt" / "sites.csv").read_text().replace("graz", "gera")
    )
    assert data_identity("autovi", str(copy), "") != data_identity("autovi", str(plants), "")
    assert data_identity("autovi", str(copy), "hose") == data_identity(
        "autovi", str(plants), "hose"
    )


def test_the_command_line_says_what_is_wrong(tmp_path):
    result = CliRunner().invoke(app, ["compare", str(write(tmp_path, "axis: {}"))])
    assert isinstance(result.exception, ConfigError)
