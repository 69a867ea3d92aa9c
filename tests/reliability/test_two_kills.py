"""A SuperNode and a ClientApp are killed in one run; both come back, and nothing is lost.

The one test of faults with real processes that `make test` has; `make reliability` has the rest.
"""

import os
import signal
from dataclasses import replace

from tests.reliability.harness import Attempt, Plants, kill, left_of, pids, wait_for_line
from tests.reliability.oracle import Oracle


def test_a_killed_supernode_and_a_killed_clientapp_cost_nothing(
    needs_nginx, factories, settings, figure, tmp_path
):
    two = {site: factories[site] for site in ("graz", "lyon")}
    ample = {"enrol_seconds": 200.0, "train_seconds": 400.0, "evaluate_seconds": 400.0}
    round_ = replace(settings.round, expected="graz,lyon", min_sites=0, **ample)
    config = replace(settings, data=replace(settings.data, sites=2), round=round_)
    with Plants(tmp_path / "up", two) as up:
        sessions = [process.pid for process in up.processes.values()]
        attempt = Attempt(up, config, tmp_path / "run")
        wait_for_line(up.log("lyon-superexec"), "learning, round", 200)
        assert kill(up, "ClientApp")
        (node,) = pids(up, "graz-supernode", "flower-supernode")
        os.kill(node, signal.SIGKILL)
        record = attempt.finish(800, resumes=0)
    assert left_of(sessions) == []
    assert record["missing"] == {}
    assert "flower-supernode ended with -9" in up.log("graz-supernode").read_text()
    Oracle(config, two, tmp_path).check(record)
    seconds = sum(record["seconds"].values())
    figure("R2, R15 a SuperNode and a ClientApp killed at once", "no site lost", f"{seconds:.0f} s")
