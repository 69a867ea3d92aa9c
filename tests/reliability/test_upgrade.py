"""Neighbouring versions: they take part in one run, and each reads what the other keeps."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fedad.config import every_knob
from fedad.dp.account import Terms
from fedad.dp.ledger import create
from fedad.permits.audit import audit_of
from fedad.plumbing.journal import events_of
from fedad.reporting.run_folder import RECORD
from fedad.running.flower import as_toml
from tests.conftest import LENIENT
from tests.reliability.harness import SITES, VICTIM, Attempt, Plants
from tests.reliability.oracle import Oracle
from tests.reliability.versions import MAIN, both_versions

pytestmark = pytest.mark.reliability


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    return both_versions(tmp_path_factory.mktemp("tag"))


@pytest.fixture(scope="module")
def apps(versions):
    """What a site lists that is to take the apps of both."""
    return [one.app() for one in versions]


class Mixed(Plants):
    """One site has another version of fedad than the rest; all list the apps of both."""

    apps: tuple[str, ...] = ()
    other: Mapping[str, str] = {}

    def kit(self, site):
        kit = super().kit(site)
        kit.policy.write_text(LENIENT + f"apps = {json.dumps([*self.apps])}\n")
        return kit

    def start(self, name, extra=None):
        own = self.other if name.startswith(f"{VICTIM}-") else {}
        super().start(name, {**own, **(extra or {})})


def mixed(version, digests):
    return type("Mixed", (Mixed,), {"apps": tuple(digests), "other": version.environment})


def plain(settings, folders, out):
    """The bank and the figures of a run over all of the sites."""
    return Oracle(settings, folders, out)


def test_a_site_of_the_last_version_takes_part_in_a_run_of_this_one(  # noqa: PLR0917 - fixtures
    versions, apps, template, settings, factories, figure, tmp_path
):
    """The old guard and gate let the new app in, whose hash its policy lists."""
    old, _ = versions
    with template.federation(tmp_path / "up", mixed(old, apps)) as up:
        record = Attempt(up, settings, tmp_path / "run").finish(400, resumes=0)
        models = old.fedad("model", "list", "--models", up.output(VICTIM), "--json")
    assert record["missing"] == {}
    plain(settings, factories, tmp_path).check(record)
    (model,) = json.loads(models)
    assert model["sites"] == [*SITES]
    figure("a site of the last version, an app of this one", "no site lost", "as in one version")


def test_sites_of_this_version_take_part_in_a_run_of_the_last_one(  # noqa: PLR0917 - fixtures
    versions, apps, template, settings, factories, figure, tmp_path
):
    """A server that was not upgraded yet, by its own `fedad submit`; the victim is as old."""
    old, _ = versions
    knobs = settings.flat()
    changed = {k: v for k, v in knobs.items() if v != every_knob()[k] and k != "round.out"}
    (tmp_path / "run.toml").write_text(as_toml(changed))
    with template.federation(tmp_path / "up", mixed(old, apps)) as up:
        words = ["submit", "run.toml", "--superlink", up.address, "--runs", "runs"]
        words += ["--ca", str(up.keys / "server" / "ca.crt")]
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *words],
            env={**os.environ, **old.environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
    record = json.loads((folder / RECORD).read_text())
    assert record["missing"] == {}
    plain(settings, factories, tmp_path).check(record)
    figure("sites of this version, an app of the last one", "no site lost", "as in one version")


def test_an_app_that_a_site_does_not_list_is_refused_whatever_its_version(
    versions, apps, template, settings, tmp_path
):
    old, _ = versions
    with template.federation(tmp_path / "up", mixed(old, apps[:1])) as up:
        attempt = Attempt(up, settings, tmp_path / "run")
        assert not attempt.wait(300)
        audits = [audit_of(up.output(site)) for site in SITES]
    for lines in audits:
        assert {one["line"] for one in lines if one["event"] == "refused"} == {"apps"}
        assert not [one for one in lines if one["event"] == "begun"]


# Folders that one version writes and the other reads.

BUILD = """
import sys
from pathlib import Path
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.running.overlay import read_config

config = read_config(Path(sys.argv[1]), ["data.dataset=auto", "score.false-rejects=0.2"])
build_and_keep(config, "lyon", None, Path(sys.argv[2]), Gate(1.0, 1.0))
"""
OPEN = """
import sys
from pathlib import Path
from fedad.inspection.opened import open_inspector

print(open_inspector(Path(sys.argv[1]), {}).opened.name)
"""


@pytest.fixture(params=[0, 1], ids=["written by the last version", "written by this one"])
def pair(request, versions):
    """Who writes, who reads."""
    return versions[request.param], versions[1 - request.param]


def test_models_are_read_by_the_other_version(pair, overlay, plants, tmp_path):
    writer, reader = pair
    models = tmp_path / "models"
    writer.python(BUILD, overlay, models)
    own = json.loads(writer.fedad("model", "list", "--models", models, "--json"))
    assert json.loads(reader.fedad("model", "list", "--models", models, "--json")) == own
    told = json.loads(reader.fedad("model", "info", "--models", models, "--json"))
    assert told["site"] == "lyon"
    assert reader.python(OPEN, models).strip() == own[0]["model"]
    image = next(iter(sorted((plants / "bolt" / "test" / "blot").glob("*.png"))))
    found = [
        json.loads(
            one.fedad(
                *("inspect", image, "--models", models, "--product", "bolt", "--jsonl", "-"),
                code_expected=10,
            ).splitlines()[0]
        )
        for one in pair
    ]
    assert found[0]["score"] == found[1]["score"]
    assert found[0]["threshold"] == found[1]["threshold"]


def test_ledgers_are_read_and_gone_on_with_by_the_other_version(pair, tmp_path):
    writer, reader = pair
    words = ("--site", "lyon", "--product", "bolt", "--epsilon", "8")
    writer.fedad("privacy", "init", tmp_path / "ledger", *words)
    shown = [
        json.loads(one.fedad("privacy", "show", tmp_path / "ledger", "--json")) for one in pair
    ]
    assert shown[0] == shown[1]
    reader.fedad("privacy", "init", tmp_path / "ledger", *words, code_expected=3)
    assert create(tmp_path / "other", Terms("lyon", "bolt", 8.0, 1e-5, "image")).left == 8.0


def test_a_run_is_gone_on_with_by_the_other_version(pair, overlay, tmp_path):
    """Its journal, uploads, the sites' seals and lists of images; the same in the end."""
    writer, reader = pair
    whole = folder_of(writer, overlay, tmp_path / "runs")
    cut = shutil.copytree(whole, tmp_path / "cut", symlinks=True)
    lines = (cut / "journal.jsonl").read_text().splitlines(keepends=True)
    last = max(n for n, one in enumerate(events_of(whole)) if one["event"] == "uploaded")
    (cut / "journal.jsonl").write_text("".join(lines[:last]))  # one upload is asked for again
    for name in (RECORD, "bank.safetensors"):
        (cut / name).unlink()
    reader.fedad("run", "--resume", cut, "--via", "local")
    one, other = (json.loads((path / RECORD).read_text()) for path in (whole, cut))
    assert other["resumed"] == 1
    assert one["model"] == other["model"]
    assert one["figures"] == other["figures"]


def folder_of(version, overlay: Path, runs: Path) -> Path:
    version.fedad("run", overlay, "--runs", runs, "--via", "local")
    return (runs / "latest").resolve()
