"""R15: a site that was killed is back without a human, and leaves no ClientApp behind."""

import os
import signal
import time

import pytest

from tests.reliability.harness import (
    PROCESSES,
    VICTIM,
    Attempt,
    is_alive,
    kill,
    members,
    pids,
    wait_for_line,
    wait_until,
)

pytestmark = pytest.mark.reliability


def test_a_killed_supernode_is_back_in_90_s(template, figure, tmp_path):
    with template.federation(tmp_path / "up") as up:
        wait_for_line(up.log("superlink"), r"(Activated node_id[\s\S]*){3}", 120)
        size = up.log("superlink").stat().st_size
        assert kill(up, "SuperNode")
        began = time.monotonic()
        wait_for_line(up.log("superlink"), "Activated node_id", 120, after=size)
        seconds = time.monotonic() - began
    assert seconds <= 90
    figure("R15 a killed SuperNode is back", "at most 90 s", f"{seconds:.0f} s")


@pytest.mark.parametrize("doing", ["clientapp", "learning, round"])
def test_a_clientapp_whose_supernode_is_gone_ends_itself(
    doing, template, settings, figure, tmp_path
):
    """Both before it has an app to run and in the middle of its work."""
    with template.federation(tmp_path / "up") as up:
        Attempt(up, settings, tmp_path / "run")
        wait_until(lambda: pids(up, *PROCESSES["ClientApp"]), 120, "a ClientApp")
        gone = up.processes[f"{VICTIM}-supernode"].pid
        wait_for_line(up.log(f"{VICTIM}-superexec"), doing, 120)
        orphan = pids(up, *PROCESSES["ClientApp"])[-1]
        # stopped, it cannot finish its work before its SuperNode is gone
        os.kill(orphan, signal.SIGSTOP)
        for pid in members([gone]):
            os.kill(pid, signal.SIGKILL)  # its supervisor too: nobody comes back
        os.kill(orphan, signal.SIGCONT)
        began = time.monotonic()
        wait_until(lambda: not is_alive(orphan), 180, "the end of the orphan")
        seconds = time.monotonic() - began
        assert seconds <= 120
        assert up.processes[f"{VICTIM}-superexec"].poll() is None
    name = f"R15 a ClientApp without its SuperNode, {doing}"
    figure(name, "ended in 120 s", f"{seconds:.0f} s")
