"""What a day's work takes: caches, configurations by name, Ctrl-C, completion, estimates."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fedad.config import read
from fedad.deploy import submit
from fedad.deploy.link import LinkError
from fedad.errors import ConfigError
from fedad.messages.file import save
from fedad.plumbing import caches, progress
from fedad.running import launch, shipped
from fedad.running.overlay import read_config
from tests.conftest import bank_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path):
    """A cache with something of each kind, and what is not to be lost."""
    root = tmp_path / "cache"
    for name in ("features/ab/cd/e.safetensors", "taps/a", "looks-13.jsonl", "public/x/a.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"0" * 1000)
    (root / "sites" / "lyon" / "ledger").mkdir(parents=True)
    (root / "sites" / "lyon" / "ledger" / "journal.jsonl").write_text("spent\n")
    return root


def test_a_cache_is_shown_and_cleared_by_kind(cache, fedad):
    code, _, said = fedad("cache", "show", "--folder", cache, "--json")
    told = {one["kind"]: one for one in json.loads(said)["kept"]}
    assert code == 0
    found = {kind: (one["files"], one["size"]) for kind, one in told.items()}
    assert found == dict.fromkeys(caches.KINDS, (1, 1000))
    assert json.loads(said)["others"] == ["sites"]
    code, _, said = fedad("cache", "clear", "features", "--folder", cache)
    assert said == f"{cache}: 1 files, 0.0 MiB, are gone\n"
    assert not (cache / "features").exists()
    assert (cache / "taps").exists()


def test_what_cannot_be_made_again_outlasts_every_clearing(cache, fedad):
    """A site without an output-dir has its ledger below the cache's folder."""
    fedad("cache", "clear", "--folder", cache)
    assert [path.name for path in cache.iterdir() if path.name != "public"] == ["sites"]
    assert (cache / "sites/lyon/ledger/journal.jsonl").read_text() == "spent\n"
    code, said, _ = fedad("cache", "clear", "sites", "--folder", cache)
    assert code == 2
    assert "expected one of features, taps, looks, drawn" in said


def test_a_cleared_link_leads_nowhere_and_what_it_led_to_stays(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "image.png").touch()
    (cache / "plants").symlink_to(tmp_path / "elsewhere")
    caches.clear(cache)
    assert not (cache / "plants").is_symlink()
    assert (tmp_path / "elsewhere" / "image.png").exists()


@pytest.mark.parametrize("name", ["demo", "demo.toml", "configs/demo.toml"])
def test_a_shipped_configuration_is_found_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_config(Path(name), []) == read_config(ROOT / "configs" / "demo.toml", [])


def test_an_own_file_comes_before_a_shipped_one_and_a_wrong_name_is_answered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("[round]\nseed = 7\n")
    assert read_config(Path("demo"), []).round.seed == 7
    assert shipped.found(Path("merges"), ".yaml").read_text()
    assert shipped.found(Path("configs/compare/merges.yaml"), ".yaml").read_text()
    with pytest.raises(ConfigError, match=r"did you mean 'demo'.*comes with autovi, classic, demo"):
        read_config(Path("dmo"), [])
    for path in (tmp_path / "configs" / "demo.toml", Path("../configs/demo.toml")):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_config(path, [])


def test_an_installed_fedad_has_its_configurations_inside(tmp_path, monkeypatch):
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"]["force-include"]["configs"] == "fedad/configs"
    (tmp_path / "fedad" / "configs").mkdir(parents=True)
    (tmp_path / "fedad" / "configs" / "demo.toml").touch()
    monkeypatch.setattr("fedad.__file__", str(tmp_path / "fedad" / "__init__.py"))
    assert shipped.found(Path("demo"), ".toml") == tmp_path / "fedad" / "configs" / "demo.toml"


def interrupted(*words, **how):
    raise KeyboardInterrupt


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(begun, fedad, overlay, tmp_path, monkeypatch):
    def stopped(folder, *words, **how):
        if begun:
            (folder / "journal.jsonl").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "run_in", stopped)
    code, said, _ = fedad("run", overlay)
    (folder,) = (tmp_path / "runs").iterdir()
    assert code == 130
    lines = said.splitlines()
    assert "stopped" in lines
    kept = f"what the sites gave is kept: fedad run --resume {folder} goes on"
    assert (lines[-1] == kept) is begun


@pytest.mark.parametrize("ends", [True, False])
def test_ctrl_c_ends_a_run_of_a_federation_or_says_that_it_goes_on(ends, tmp_path, monkeypatch):
    class Hub:
        def start(self, knobs):
            return "7"

        def stop(self, run):
            if not ends:
                raise LinkError("localhost:8000: no answer in 60 s")

    monkeypatch.setattr(submit, "_follow", interrupted)
    with pytest.raises(KeyboardInterrupt) as stopped:
        submit.run_on(Hub(), read({}), tmp_path)
    (told,) = stopped.value.__notes__
    assert told.startswith("what the sites gave is kept: fedad submit --resume") is ends
    assert ("the run goes on" in told) is not ends


def test_ctrl_c_in_a_comparison_says_that_its_cells_are_kept(fedad, tmp_path, monkeypatch):
    monkeypatch.setattr("fedad.compare.compare.compare", interrupted)
    code, said, _ = fedad("compare", "merges")
    assert code == 130
    assert said.splitlines()[-1].endswith("the same command goes on")


def test_what_a_bank_holds_as_json(fedad, tmp_path):
    save(tmp_path / "bank.safetensors", bank_of([[1.0, 2.0]]))
    code, _, said = fedad("bank", "info", "bank.safetensors", "--json")
    assert code == 0
    assert json.loads(said)["fingerprint"]["backbone"] == "tiny"


def test_an_estimate_leaves_out_what_came_before_the_first_piece(monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    advance = progress.lines("embedding", 100, said.append)
    for at, done in ((60.0, 10), (61.0, 15), (72.0, 20)):
        now[0] = at
        advance(done)
    assert said[0] == "embedding: 10 of 100"  # after a minute of loading: no pace yet
    assert said[-1] == "embedding: 20 of 100, about 96 s left"  # 10 in 12 s


def test_completion_answers_without_a_word_too_many():
    """As the shell asks, once it was installed by `fedad --install-completion`."""
    asked = {"_FEDAD_COMPLETE": "complete_bash", "COMP_WORDS": "fedad sta", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'fedad'; from fedad.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["status"]
    assert done.stderr == ""
