"""A SuperNode and a ClientApp are killed in one run; both come back, and nothing is lost.

The one test of faults with real processes that `make test` has; `make reliability` has the rest.
"""

import os
import signal
from dataclasses import replace

from fedad.deploy.federation import Federation
from tests.reliability.harness import Attempt, kill, left_of, pids, wait_for_line


def test_a_killed_supernode_and_a_killed_clientapp_cost_nothing(  # noqa: PLR0917 - fixtures
    needs_nginx, factories, settings, oracle, figure, tmp_path
):
    ample = {"enrol_seconds": 200.0, "train_seconds": 400.0, "evaluate_seconds": 400.0}
    config = replace(settings, round=replace(settings.round, min_sites=0, **ample))
    with Federation(tmp_path / "up", factories) as up:
        sessions = [process.pid for process in up.processes.values()]
        attempt = Attempt(up, config, tmp_path / "run")
        wait_for_line(up.log("lyon-superexec"), "building the bank", 200)
        assert kill(up, "ClientApp")
        (node,) = pids(up, "graz-supernode", "flower-supernode")
        os.kill(node, signal.SIGKILL)
        record = attempt.finish(800, resumes=0)
    assert left_of(sessions) == []
    assert record["missing"] == {}
    assert "flower-supernode ended with -9" in up.log("graz-supernode").read_text()
    oracle.check(record)
    seconds = sum(record["seconds"].values())
    figure("R2, R15 a SuperNode and a ClientApp killed at once", "no site lost", f"{seconds:.0f} s")
