"""R1: malformed answers of a rogue SuperNode, over HTTP on the loopback, to each method."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord
from flwr.supercore.task_identity import TaskIdentity

from client_app.app import app as client_app
from fedad import wire
from fedad.config import read
from fedad.messages.envelope import TRAIN
from fedad.running.flower import assemble, environment_of, free_port
from server_app.local_grid import LocalGrid
from server_app.strategy import MethodStrategy
from tests.bad_messages.arrays import plain
from tests.bad_messages.cases import CASES, Case
from tests.bad_messages.door import CASE, recorded, with_distances
from tests.bad_messages.payload_cases import cases_of, settings_of
from tests.reliability.harness import wait_until
from tests.reliability.rogue import rogue

pytestmark = pytest.mark.reliability
HERE = Path(__file__).parent
LARGEST = 20.0  # MB that the server of this test takes


def _large(content) -> None:
    content["bank"]["rows"] = plain(np.zeros((100_000, 64), np.float32))


ALL = {
    "patchcore": ([*CASES, Case("rows of 26 MB", TRAIN, _large, "size")], {"score.replicates": 5}),
    **{
        method: (cases_of(method), settings_of(method))
        for method in ("discriminator", "gaussian", "subspace")  # the others: test_payloads.py
    },
}


@pytest.fixture(params=ALL)
def method(request):
    return request.param


@pytest.fixture
def genuine(knobs, method, tmp_path):
    """What the liar answers while it is honest, in a run of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for part in ("run_id", "node_id", "task_id"):
            patch.setattr(TaskIdentity, f"_{part}", 1)
        kept, settings = {}, {**knobs, **ALL[method][1], "round.out": str(tmp_path / "honest")}
        nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
        grid = LocalGrid(recorded(client_app, kept), nodes, settings)
        MethodStrategy(read(settings)).start(grid, ArrayRecord())
        yield with_distances(kept)


def test_a_rogue_supernode_gets_nothing_in(genuine, method, knobs, tmp_path, figure):
    result, (cases, more) = tmp_path / "result.json", ALL[method]
    settings = {
        **knobs,
        **more,
        "wire.largest-mb": LARGEST,
        "round.out": str(tmp_path / "run"),
    }
    plan = {"settings": settings, "stages": [case.stage for case in cases], "result": str(result)}
    app = app_of(tmp_path / "app", plan)

    def answer(message):
        key = str(message.content[wire.RUN]["key"])
        return cases[message.content[CASE]["number"]].made_of(genuine, key)

    with superlink(tmp_path) as (address, environment):
        flwr(environment, tmp_path, "run", str(app), "own", "--format", "json")
        with rogue(address, answer):
            wait_until(result.exists, 1800, "the end of the ServerApp")
    told = json.loads(result.read_text())
    wrong = {
        (case.name, word): case.word
        for case, word in zip(cases, told["words"], strict=True)
        if word != case.word
    }
    assert not wrong
    assert told["slowest"] < 10
    assert told["memory"] < 2**30
    figure(
        f"R1 malformed messages of a rogue SuperNode, {method}",
        "200, no hang over 10 s, 1 GB",
        f"{len(cases)} refused by their word, slowest {told['slowest']:.1f} s, "
        f"{told['memory'] / 1e6:.0f} MB",
    )


def app_of(folder: Path, plan: dict) -> Path:
    """Our app with another ServerApp, and the corpus that it needs."""
    assemble(folder)
    (folder / "tests" / "bad_messages").mkdir(parents=True)
    for name in (
        *(f"bad_messages/{one}.py" for one in ("arrays", "cases", "door", "payload_cases")),
        "bounds.py",
    ):
        shutil.copy(HERE.parent / name, folder / "tests" / name)
    for package in ("tests", "tests/bad_messages"):
        (folder / package / "__init__.py").write_text("")
    shutil.copy(HERE / "rogue_server.py", folder / "rogue_server.py")
    (folder / "plan.json").write_text(json.dumps(plan))
    project = folder / "pyproject.toml"
    text = project.read_text().replace("server_app.app:app", "rogue_server:app")
    more = '"rogue_server.py", "plan.json", "tests/**/*.py", "fedad/**/*.py"'
    project.write_text(text.replace('"fedad/**/*.py"', more, 1))
    return folder


@contextmanager
def superlink(work: Path):
    """A SuperLink of our own, without TLS; its address and what its commands need."""
    port, environment = free_port(), environment_of(work)
    home = Path(environment["FLWR_HOME"])
    home.mkdir(parents=True)
    (home / "config.toml").write_text(
        '[superlink]\ndefault = "own"\n'
        f'[superlink.own]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )
    command = ["flower-superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--disable-runtime-dependency-installation"]
    with (work / "superlink.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: _is_up(port), 60, "the SuperLink")
        yield f"127.0.0.1:{port}", environment
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
        return False


def flwr(environment: dict[str, str], work: Path, *words: str) -> None:
    program = str(Path(sys.executable).parent / "flwr")
    done = subprocess.run(
        [program, *words], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout[done.stdout.index("{") :])["success"], done.stdout
