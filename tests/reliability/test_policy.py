"""A site's policy on a real federation: a server that names other tasks and apps runs nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from client_app.gate import REFUSED
from fedad.deploy.link import NAME
from fedad.deploy.services import Kit
from fedad.policy import audit_of
from fedad.reporting.run_folder import FAILURE
from fedad.running.flower import app_digest, as_toml, assemble
from tests.conftest import LENIENT
from tests.reliability import hostile_superlink
from tests.reliability.harness import SITES, VICTIM, Attempt, Plants, wait_until

pytestmark = pytest.mark.reliability


class Guarded(Plants):
    """One site has a policy."""

    @property
    def policy(self) -> Path:
        return self.work / "guarded.toml"

    def kit(self, site: str) -> Kit:
        kit = super().kit(site)
        return kit._replace(policy=self.policy) if site == VICTIM else kit


class Hostile(Plants):
    """The server says of a run what it likes."""

    @property
    def plan(self) -> Path:
        return self.work / "plan.json"

    def commands(self) -> dict[str, list[str]]:
        found = super().commands()
        at = found["superlink"].index("flower-superlink")
        found["superlink"][at : at + 1] = [sys.executable, hostile_superlink.__file__]
        return found

    def start(self, name: str, extra: Mapping[str, str] | None = None) -> None:
        super().start(name, {**(extra or {}), hostile_superlink.PLAN: str(self.plan)})

    def refused(self, part: str) -> dict[str, list[str]]:
        """A part of each line about what each site has refused so far."""
        lines = {site: audit_of(self.output(site)) for site in SITES}
        return {
            site: [one[part] for one in found if one["event"] == "refused"]
            for site, found in lines.items()
        }


def patient(settings):
    stages = {f"{stage}_seconds": 150.0 for stage in ("enrol", "train", "evaluate")}
    return replace(settings, round=replace(settings.round, **stages))


def test_only_a_listed_app_runs_at_a_site(template, settings, tmp_path, figure):
    settings = patient(settings)
    work = tmp_path / "up"
    work.mkdir()
    (work / "guarded.toml").write_text(f'{LENIENT}apps = ["{"0" * 64}"]\n')
    with template.federation(work, Guarded) as up:
        first = Attempt(up, settings, tmp_path / "first").finish(500)
        refused = [one for one in audit_of(up.output(VICTIM)) if one["event"] == "refused"]
        up.policy.write_text(f'{LENIENT}apps = ["{app_digest()}"]\n')
        second = Attempt(up, settings, tmp_path / "second").finish(500)
    assert refused[0]["told"].split()[-1] == app_digest()
    assert set(first["missing"]) == {VICTIM}
    assert str(tmp_path) not in first["missing"][VICTIM]["reason"]
    assert not second["missing"]
    figure("site policy", "an app that is not listed is refused", "refused; listed, it runs")


FOREIGN = """
from pathlib import Path

from flwr.agentapp import AgentApp
from flwr.clientapp import ClientApp

with Path({ran!r}).open("a") as file:
    file.write(Path("/proc/self/cmdline").read_bytes().decode().replace("\\0", " ") + "\\n")
app = ClientApp()
agent = AgentApp()


@agent.main()
def main(*given):
    pass
"""
FOREIGN_SERVER = """
import time
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    while len(nodes := list(grid.get_node_ids())) < {sites}:
        time.sleep(0.2)
    content = RecordDict({{"agent": ConfigRecord({{"text": "give me the images"}})}})
    replies = grid.send_and_receive([Message(content, one, "query") for one in nodes], timeout=150)
    heard = [str(one.error.reason) if one.has_error() else "it ran" for one in replies]
    folder = Path(context.run_config["round.out"])
    folder.mkdir()
    (folder / {failure!r}).write_text(" ".join(heard))
"""


def foreign_app(folder: Path, ran: Path) -> Path:
    """An app whose ClientApp and AgentApp leave a line in `ran` wherever they are loaded."""
    assemble(folder)
    (folder / "foreign.py").write_text(FOREIGN.format(ran=str(ran)))
    server = FOREIGN_SERVER.format(sites=len(SITES), failure=FAILURE)
    (folder / "foreign_server.py").write_text(server)
    project = folder / "pyproject.toml"
    text = project.read_text().replace("server_app.app:app", "foreign_server:app")
    text = text.replace('"client_app.app:app"', '"foreign:app"\nagentapp = "foreign:agent"')
    files = '"foreign.py", "foreign_server.py", "fedad/**/*.py"'
    project.write_text(text.replace('"fedad/**/*.py"', files, 1))
    return folder


# What a server tells the sites of a run, and the app that comes with it.
HOSTILE = {
    "another type of task": ({"primary_task_type": "flwr-agentapp"}, "foreign"),
    "an app that is not listed": ({}, "foreign"),
    "a version that leaves the folder": ({"fab_version": "1.0.0/../../../output"}, "ours"),
    "another version": ({"fab_version": "99.0.0"}, "ours"),
    "another id": ({"fab_id": "fedad/other"}, "ours"),
}


def test_what_a_hostile_server_names_runs_nowhere(template, settings, tmp_path, figure):
    settings, work, ran = patient(settings), tmp_path / "up", tmp_path / "ran"
    apps = {
        "foreign": foreign_app(tmp_path / "foreign", ran),
        "ours": assemble(tmp_path / "ours"),
    }
    work.mkdir()
    (work / "plan.json").write_text("{}")
    with template.federation(work, Hostile) as up:
        for case, (plan, app) in HOSTILE.items():
            up.plan.write_text(json.dumps(plan))
            folder = tmp_path / case.replace(" ", "-")
            knobs = tmp_path / "run.toml"
            out = replace(settings.round, out=str(folder))
            knobs.write_text(as_toml(replace(settings, round=out).flat()))
            words = (str(apps[app]), NAME, "--run-config", str(knobs))
            run = str(up.link()._flwr("run", *words)["run-id"])
            wait_until((folder / FAILURE).exists, 200, f"the end of the run with {case}")
            heard = (folder / FAILURE).read_text()
            assert heard.count(REFUSED) == len(SITES), (case, heard)
            assert str(tmp_path) not in heard
            noted = {site: run in runs for site, runs in up.refused("run").items()}
            assert all(noted.values()), (case, noted)
        up.plan.write_text("{}")
        last = Attempt(up, settings, tmp_path / "honest").finish(500)
        told = up.refused("told")
    assert not ran.exists()
    assert not last["missing"]
    for lines in told.values():
        assert any(line.startswith("flwr-agentapp: ") for line in lines)
        assert any("the version that the server names is" in line for line in lines)
        assert any("the id that the server names is" in line for line in lines)
    figure(
        "a server that names other tasks, apps, ids and versions",
        "0 run, each an audit line",
        f"0 of {len(HOSTILE)} x {len(SITES)} run, all noted; the next run has all sites",
    )
