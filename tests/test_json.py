"""What every verb says to a program, what its help says, and what a shell completes of it."""

import json
import math
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from inspect import unwrap
from pathlib import Path

import pytest
import typer.rich_utils
from click import Argument
from click.shell_completion import ShellComplete
from flwr.supercore.task_identity import TaskIdentity
from typer.main import get_command
from typer.testing import CliRunner
from typer.utils import get_params_from_function

from fedad.banks.bank import Bank
from fedad.cli import app
from fedad.commands.show import show_json
from fedad.config import read
from fedad.export.verify import Agreement
from fedad.messages.file import checksum, load
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.plumbing.progress import Silent
from fedad.reporting.run_folder import read_record
from fedad.running.launch import launch
from tests.conftest import SITES

WITHOUT_JSON = {
    "serve": "answers over HTTP until it is stopped",
    "supervise": "becomes another program, whose output it is",
    "guard": "becomes another program, whose output it is",
}
LISTS = {"model list": "a list since 0.1.0, by which scripts of two versions go"}


def verbs_of(command, *before):
    """(name, command) of each verb, such as `data check`."""
    below = getattr(command, "commands", {})
    found = [one for name, part in below.items() for one in verbs_of(part, *before, name)]
    return found or [(" ".join(before), command)]


VERBS = dict(verbs_of(get_command(app)))
EACH = pytest.mark.parametrize("name", VERBS)


def options(command):
    return {text for one in command.params for text in one.opts}


# What each verb takes, and what is said of it.


def test_the_verbs_without_json_and_those_with_a_list_are_there():
    assert {*WITHOUT_JSON, *LISTS} <= {*VERBS}


@EACH
def test_every_verb_has_json(name):
    assert ("--json" in options(VERBS[name])) is (name not in WITHOUT_JSON)


@EACH
def test_every_argument_and_option_has_help_and_shows_it(name, monkeypatch):
    monkeypatch.setattr(typer.rich_utils, "MAX_WIDTH", 2000)
    done = CliRunner().invoke(app, [*name.split(), "--help"])
    assert done.exit_code == 0
    shown = " ".join(re.sub(r"[^\S ]|[│╭╮╰╯─]", " ", done.output).split())
    command = VERBS[name]
    assert len(command.help) > 20
    told = get_params_from_function(unwrap(command.callback))
    for one in command.params:
        said = told[one.name].default.help if isinstance(one, Argument) else one.help
        words = " ".join((said or "").split())
        assert len(words) > 5, f"fedad {name}: {one.name} has no help"
        assert words in shown, f"fedad {name} --help does not show the help of {one.name}"


@EACH
def test_a_shell_completes_every_option(name):
    shell = ShellComplete(get_command(app), {}, "fedad", "_FEDAD_COMPLETE")
    for option in options(VERBS[name]):
        if option.startswith("--"):
            found = {one.value for one in shell.get_completions(name.split(), option[:-1])}
            assert option in found


def test_a_shell_is_answered_with_json():
    """As it asks, once completion was installed."""
    words = "fedad run --js"
    asked = {"_FEDAD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
    code = "import sys; sys.argv[0] = 'fedad'; from fedad.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["--json"], "")


# What is printed.


def test_numbers_paths_and_hostile_names_as_json(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    show_json(
        {
            "nan": math.nan,
            "infinite": [math.inf, -math.inf],
            "path": Path("runs"),
            "of": {7: (1.5, True, None)},
            "name": "\x7f\x1b\u202e\n\udc80",
        }
    )
    said = capsys.readouterr().out
    assert said.isascii()
    assert said.replace("\n", "").isprintable()
    assert json.loads(said, parse_constant=pytest.fail) == {
        "nan": None,
        "infinite": ["inf", "-inf"],
        "path": str(tmp_path / "runs"),
        "of": {"7": [1.5, True, None]},
        "name": "\x7f\x1b\u202e\n\udc80",
    }


@pytest.fixture
def said(fedad):
    """The one object that a command prints on standard output; numbers are some that JSON has."""

    def run(*words, code=0):
        found, err, out = fedad(*words, "--json")
        assert found == code, err
        told = json.loads(out, parse_constant=pytest.fail)
        assert isinstance(told, dict)
        return told

    return run


@pytest.fixture(scope="module")
def run(knobs, tmp_path_factory):
    """A finished run with its yardsticks."""
    config = read({**knobs, "score.false-rejects": 0.4, "score.replicates": 2})
    with pytest.MonkeyPatch.context() as patched:
        for part in ("run_id", "node_id", "task_id"):
            patched.setattr(TaskIdentity, f"_{part}", 1)
        root = tmp_path_factory.mktemp("runs")
        return launch(config, via="local", root=root, with_yardsticks=True, sink=Silent())


@pytest.fixture(scope="module")
def models(knobs, tmp_path_factory):
    """A site's folder of models, of which one judges."""
    folder = tmp_path_factory.mktemp("lyon") / "models"
    settings = read({**knobs, "data.dataset": "auto", "score.false-rejects": 0.2})
    build_and_keep(settings, "lyon", None, folder, Gate(false_rejects=1.0))
    return folder


@pytest.fixture
def small(knobs):
    """The small network's knobs on a command line."""
    own = {key: value for key, value in knobs.items() if not key.startswith("data.")}
    return [part for key, value in own.items() for part in ("-c", f"{key}={value}")]


def is_of_run(told, run):
    """Whether what was printed is what the record has."""
    record = read_record(run)
    assert told["folder"] == str(run)
    assert Path(told["record"]).is_file()
    assert told["model"]["sha256"] == checksum(Path(told["model"]["file"]))
    assert {*told["figures"]} == {"isolated", "federated", "centralised"}
    for way, found in record["figures"].items():
        assert told["figures"][way]["mean_of_sites"] == found["mean_of_sites"]
        assert told["figures"][way]["products"] == {
            name: one["figures"] for name, one in found["together"]["categories"].items()
        }
    one = told["figures"]["federated"]["products"]["bolt"]["image_auroc"]
    assert isinstance(one["value"], float)
    for key in ("promises", "bytes", "seconds", "missing", "warnings", "privacy", "seed"):
        assert told[key] == record[key]
    assert told["sites"] == [*SITES]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("demo",), "fedad.running.launch.launch"),
        (("run",), "fedad.running.launch.launch"),
        (("submit",), "fedad.deploy.submit.submit_run"),
        (("federation",), "fedad.deploy.rehearsal.rehearse"),
    ],
)
def test_a_run(words, place, run, said, monkeypatch):
    monkeypatch.setattr(place, lambda *_, **__: run)
    is_of_run(said(*words), run)


def test_who_was_lost_on_the_way_did_not_take_part(run, said, tmp_path, monkeypatch):
    record = read_record(run)
    record["missing"] = {"lyon": {"stage": "evaluate", "reason": "it left"}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    monkeypatch.setattr("fedad.deploy.submit.submit_run", lambda *_, **__: tmp_path)
    told = said("submit")
    assert told["sites"] == ["graz", "turin"]
    assert told["missing"] == record["missing"]
    assert told["model"]["file"] is None


def test_a_run_in_this_process(said, overlay, tmp_path):
    """From the command line to the object, and nothing else on standard output."""
    told = said("run", overlay, "--via", "local", "--runs", "runs", "-c", "score.replicates=2")
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
    assert told["folder"] == str(folder)
    assert {*told["figures"]} == {"federated"}


def test_a_failure_prints_no_json_and_keeps_its_code_and_line(fedad, tmp_path):
    for words, ended in (
        (("run", "-c", "round.seed=x"), 2),
        (("report", "gone"), 3),
        (("score", "gone", "--bank", "gone", "--maps", "maps"), 3),
        (("inspect", tmp_path, "--watch"), 2),
        (("inspect", tmp_path, "--jsonl", "-"), 2),
    ):
        code, err, out = fedad(*words, "--json")
        assert (code, out) == (ended, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_data_is_drawn_and_split(said, tmp_path, knobs):
    few = ("--images", "3", "--size", "64", "--good", "3", "--defective", "3")
    told = said("data", "draw", "plants", "drawn", *few)
    assert told["folder"] == str(tmp_path / "drawn")
    assert told["dataset"] == "synthetic"
    files = (tmp_path / "drawn").rglob("*.png")
    assert told["images"] == sum("ground_truth" not in path.parts for path in files) > 0
    told = said("data", "split", knobs["data.dir"], "plants", "--dataset", "autovi")
    assert told["sites"] == {site: str(tmp_path / "plants" / site) for site in SITES}
    told = said("data", "check", "plants/lyon", code=0)
    assert told["root"] == str(tmp_path / "plants" / "lyon")


def test_banks_by_hand(said, plants, small, tmp_path):
    for site in SITES[:2]:
        words = ("bank", "build", plants, "--site", site, "--out", f"{site}.safetensors")
        told = said(*words, *small)
        assert told["file"] == str(tmp_path / f"{site}.safetensors")
        assert (told["images"], told["sites"]) == (12, [site])
        assert told["rows"] > 0
    both = said("bank", "merge", *(f"{site}.safetensors" for site in SITES[:2]), "--out", "b")
    assert (both["rows"], both["images"]) == (len(load(tmp_path / "b", Bank)), 24)
    assert both["sites"] == [*SITES[:2]]
    words = ("bank", "build", plants, "--site", "lyon", "--out", "c", "--models", "models")
    told = said(*words, *small, "-c", "score.false-rejects=0.2")
    assert told["is_current"] is True
    assert told["models"] == str(tmp_path / "models")


def test_maps_and_their_figures(said, run, plants, small, tmp_path):
    bank = run / "bank.safetensors"
    told = said("score", plants, "--bank", bank, "--maps", "maps", *small)
    assert (told["maps"], told["scores"]) == (24, str(tmp_path / "maps" / "scores.csv"))
    told = said("evaluate", "--data", plants, "--maps", "maps", "--replicates", "0")
    assert told["folder"] == str(tmp_path / "evaluation")


def test_verdicts(said, models, plants, tmp_path):
    words = ("inspect", plants / "bolt" / "test", "--models", models, "--product", "bolt")
    told = said(*words, "--out", "out", code=10)
    assert sum(told["counts"].values()) == len(told["verdicts"]) == 12
    assert told["folder"] == str(tmp_path / "out")
    assert (tmp_path / "out" / "verdicts.csv").is_file()
    assert {row["model"] for row in told["verdicts"]} == {told["model"]}


def test_a_bank_without_a_site(said, run, tmp_path):
    told = said("model", "forget", run, "--site", "lyon", "--out", "without")
    assert told["file"] == str(tmp_path / "without")
    assert (told["without_site"], told["without_image"]) == ("lyon", None)
    assert told["sites"] == ["graz", "turin"]
    assert Path(told["statement"]).is_file()
    assert told["signed"] == ""


def test_a_page(said, run, tmp_path):
    told = said("report", run, "--out", "page/report.html")
    page = tmp_path / "page" / "report.html"
    assert (told["file"], told["bytes"]) == (str(page), page.stat().st_size)
    assert Path(told["plots"]).is_dir()
    assert Path(told["tables"]).is_dir()


def test_a_machine(said, tmp_path):
    told = said("status", "site", "--keys", "keys", "--output", "own")
    assert told["disk"]["folder"] == str(tmp_path / "own")
    assert told["disk"]["free_gb"] > 0


def test_a_budget(said, tmp_path):
    words = ("--site", "lyon", "--product", "bolt", "--epsilon", "8")
    told = said("privacy", "init", "ledger", *words)
    assert (told["epsilon"], told["delta"], told["unit"]) == (8.0, 1e-5, "image")
    assert told["folder"].startswith(str(tmp_path / "ledger"))


def test_a_key_that_is_shut_out(said, monkeypatch):
    monkeypatch.setattr("fedad.deploy.register.unregister", lambda *_: "7")
    monkeypatch.setattr("fedad.deploy.register.unregister_old", lambda *_: ["7", "8"])
    assert said("unregister", "lyon", "--keys", "keys") == {"who": "lyon", "shut_out": ["7"]}
    assert said("unregister", "lyon", "--keys", "keys", "--old")["shut_out"] == ["7", "8"]


def test_how_far_a_graph_agrees_where_nothing_is_defective(said, models, tmp_path, monkeypatch):
    """Without the extra: what is said of a file, by a comparison that was made elsewhere."""
    agreed = Agreement(4, 1e-6, "0000.png", 1e-5, 0, math.nan, math.nan)
    monkeypatch.setattr("fedad.export.onnx_file.exported", lambda *_: b"a graph")
    monkeypatch.setattr("fedad.export.verify.compared", lambda *_: agreed)
    told = said("export", "--models", models, "--product", "bolt", "--onnx", "bolt.onnx")
    assert (told["file"], told["written"]) == (str(tmp_path / "bolt.onnx"), True)
    assert (told["product"], told["bytes"]) == ("bolt", 7)
    assert told["agreement"]["worst"] == 1e-6
    assert told["agreement"]["native"] is None  # no AUROC


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason="onnx is not installed: pip install 'fedad[export]'",
)
def test_a_graph(said, models, tmp_path):
    words = ("export", "--models", models, "--product", "bolt", "--onnx", "bolt.onnx")
    told = said(*words)
    assert told["file"] == str(tmp_path / "bolt.onnx")
    assert told["bytes"] == (tmp_path / "bolt.onnx").stat().st_size
    assert told["written"] is True
    again = said(*words, "--verify")
    assert again == {**told, "written": False}
    assert again["agreement"]["worst"] < 1e-4


PLAN = """
# Whether half the bytes do.
#
#   fedad compare plan.yaml
#
# Expect: nothing of note.
name: small
axes:
  wire.dtype: [float32, float16]
seeds: 1
figures: [image_auroc]
replicates: 50
""".lstrip()


@pytest.mark.reliability
def test_a_comparison(said, knobs, tmp_path):
    few = {**knobs, "score.false-rejects": 0.4, "score.replicates": 2}
    (tmp_path / "plan.yaml").write_text(PLAN)
    sets = [part for key, value in few.items() for part in ("-c", f"{key}={value}")]
    told = said("compare", "plan.yaml", *sets, "--jobs", "1")
    assert (told["ran"], told["headline"]) == (told["cells"], "image_auroc")
    assert told["folder"] == str(tmp_path / "comparisons" / "small")
    assert Path(told["page"]).is_file()
    figures = [one["figures"]["image_auroc"]["value"] for one in told["treatments"]]
    assert len(figures) >= 2
    assert all(0 <= value <= 1 for value in figures)
