"""A site's own policy: what is refused leaves a line in its audit, and a word for the server."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from client_app.allowed import Leave
from client_app.app import app as client_app
from client_app.site import Node
from fedad import wire
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.site_folders import split
from fedad.errors import ConfigError
from fedad.partition import partition
from fedad.policy import (
    AUDIT,
    CHECKED_APP,
    DAY,
    OWN_APP,
    Policy,
    PolicyError,
    Warden,
    audit_of,
    read_policy,
)
from fedad.types import Site
from server_app.local_grid import LocalGrid
from server_app.strategy import MethodStrategy
from tests.conftest import LENIENT

RUN, OTHER = "a" * 32, "b" * 32
APP = "3" * 64


@pytest.fixture
def warden(tmp_path):
    def made(text: str) -> Warden:
        (tmp_path / "policy.toml").write_text(text)
        return Warden(read_policy(tmp_path / "policy.toml"), tmp_path / "own")

    return made


def refused(warden: Warden) -> list[str]:
    return [one["line"] for one in audit_of(warden.folder) if one["event"] == "refused"]


def test_an_empty_policy_has_defaults_for_every_line(warden):
    free = warden("")
    assert free.policy == Policy()
    free.admit(RUN, ["bolt"])
    free.admit_upload(RUN, 200_000_000)
    with pytest.raises(PolicyError, match="at most 200 may leave"):
        free.admit_upload(RUN, 200_000_001)
    with pytest.raises(PolicyError, match=r"embedder.pool = 1: 3 or more"):
        free.admit_settings(RUN, read({"embedder.pool": 1}), lambda: 1024)
    for number in range(3):
        free.admit(f"{number}" * 32, ["bolt"])
    with pytest.raises(PolicyError, match="4 runs have begun in 24 hours with 'bolt'"):
        free.admit(OTHER, ["bolt"])
    free.admit(OTHER, ["hose"])  # of another product none has


def test_a_product_that_is_not_listed_is_not_given(warden):
    strict = warden('categories = ["bolt"]')
    strict.admit(RUN, ["bolt"])
    with pytest.raises(PolicyError, match=r"refuses \(categories\): .* something of 'hose'"):
        strict.admit(RUN, ["bolt", "hose"])
    assert refused(strict) == ["categories"]


def test_more_than_may_leave_stays(warden):
    strict = warden("largest-upload-mb = 2")
    strict.admit_upload(RUN, 2_000_000)
    with pytest.raises(PolicyError, match=r"an answer of 2.0 MB, at most 2 may leave"):
        strict.admit_upload(RUN, 2_000_001)
    assert refused(strict) == ["largest-upload-mb"]


def test_runs_are_counted_once_each_and_forgotten_after_a_day(warden, monkeypatch):
    strict = warden("runs-a-day = 1")
    for _ in range(3):  # each message of a run asks
        strict.admit(RUN, [])
    with pytest.raises(PolicyError, match="1 runs have begun in 24 hours"):
        strict.admit(OTHER, [])
    later = audit_of(strict.folder)[0]["time"] + DAY + 1
    monkeypatch.setattr("fedad.policy.time.time", lambda: later)
    strict.admit(OTHER, [])


def asked_by(node_config, run: int, key: str) -> Leave:
    context = SimpleNamespace(node_config=node_config, run_id=run)
    node = Node(Site("lyon", (), ()), Path(node_config["output-dir"]), read({}), simulated=False)
    message = Message(RecordDict({wire.RUN: ConfigRecord({"key": key})}), 1, "query")
    return Leave(context, node, message)


@pytest.mark.parametrize(("run", "key"), [(2, RUN), (1, OTHER)])
@pytest.mark.usefixtures("in_a_run")
def test_a_server_that_uses_a_key_or_a_number_again_begins_another_run(run, key, tmp_path):
    (tmp_path / "policy.toml").write_text("runs-a-day = 1")
    node = {"policy": str(tmp_path / "policy.toml"), "output-dir": str(tmp_path / "own")}
    for _ in range(2):
        asked_by(node, 1, RUN).to_work()
    with pytest.raises(PolicyError, match="1 runs have begun"):
        asked_by(node, run, key).to_work()


@pytest.mark.usefixtures("in_a_run")
def test_a_policy_that_breaks_leaves_a_line_at_the_site(tmp_path):
    node = {"policy": str(tmp_path / "gone.toml"), "output-dir": str(tmp_path / "own")}
    with pytest.raises(ConfigError, match="cannot be read"):
        asked_by(node, 1, RUN)
    (line,) = audit_of(tmp_path / "own")
    assert (line["event"], line["line"]) == ("refused", "policy")


def test_a_line_that_a_crash_cut_short_is_left_out(warden):
    strict = warden("runs-a-day = 1")
    strict.admit(RUN, [])
    with (strict.folder / AUDIT).open("a") as file:
        file.write('{"time": 17')
    assert len(audit_of(strict.folder)) == 1


def test_listed_apps_run_and_others_and_unlooked_ones_do_not(warden, monkeypatch):
    strict = warden(f'apps = ["{APP}"]')
    monkeypatch.delenv(CHECKED_APP, raising=False)
    with pytest.raises(PolicyError, match="start SuperExec by `fedad guard`"):
        strict.admit(RUN, [])
    monkeypatch.setenv(CHECKED_APP, "4" * 64)
    with pytest.raises(PolicyError, match=f"the app {'4' * 64} is not in the policy"):
        strict.admit(RUN, [])
    monkeypatch.setenv(CHECKED_APP, APP)
    strict.admit(RUN, [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("appz = []", r"no line 'appz' \(did you mean 'apps'\?\)"),
        ('apps = ["abc"]', "apps = "),
        ("runs-a-day = -1", "runs-a-day = -1"),
        ("runs-a-day = 'often'", "runs-a-day = 'often'"),
        ("largest-upload-mb = 0", "largest-upload-mb = 0"),
        ("categories = 7", "categories = 7"),
        ("= nothing", "not TOML"),
    ],
)
def test_a_policy_that_cannot_be_read_lets_nothing_pass(text, says, warden):
    with pytest.raises(ConfigError, match=says):
        warden(text)


def test_a_policy_that_is_not_there_lets_nothing_pass(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_policy(tmp_path / "gone.toml")


def test_without_a_list_only_the_installed_app_runs(warden, monkeypatch):
    strict = warden("")
    monkeypatch.setenv(OWN_APP, APP)
    monkeypatch.setenv(CHECKED_APP, APP)
    strict.admit(RUN, [])
    monkeypatch.setenv(CHECKED_APP, "4" * 64)
    with pytest.raises(PolicyError, match=f"the app {'4' * 64} is not the one installed here"):
        strict.admit(RUN, [])
    monkeypatch.delenv(CHECKED_APP)
    strict.admit(RUN, [])  # the installed package's own code, which no server sent
    strict.guarded = True
    with pytest.raises(PolicyError, match="start SuperExec by `fedad guard`"):
        strict.admit(RUN, [])


def test_a_factory_with_a_policy_answers_what_it_allows(
    config, knobs, factory, tmp_path, monkeypatch
):
    for part in ("run_id", "node_id", "task_id"):
        monkeypatch.setattr(TaskIdentity, f"_{part}", 1)
    sites = partition(open_dataset(config.data), config.data, seed=config.round.seed)
    nodes = [
        factory(folder.name, folder, tmp_path / folder.name)
        for folder in split(sites, tmp_path / "data")
    ]
    (tmp_path / "policy.toml").write_text(f'{LENIENT}categories = ["bolt"]')
    nodes[1]["policy"] = str(tmp_path / "policy.toml")
    settings = {**knobs, "data.dir": "", "round.min-sites": 2, "score.replicates": 5}
    strategy = MethodStrategy(read(settings))
    strategy.start(LocalGrid(client_app, nodes, settings), ArrayRecord())
    (told,) = strategy.attendance.missing.values()
    assert told["reason"] == "PolicyError categories, see its log"
    assert strategy.model.sites == ("graz", "turin")
    (line,) = audit_of(tmp_path / "lyon")
    assert (line["event"], line["line"]) == ("refused", "categories")
