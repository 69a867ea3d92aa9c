"""R2 and R3: kill -9 of each process in each phase, with TLS and signed requests.

The run ends with the sites that are left, or is gone on with; its bank and figures are, byte for
byte, those of the plain round over the sites that took part.
"""

import time

import pytest

from tests.reliability.harness import (
    PHASES,
    PROCESSES,
    Attempt,
    is_alive,
    kill,
    pids,
    wait_until,
)

pytestmark = pytest.mark.reliability
CELLS = [(process, phase) for process in PROCESSES for phase in PHASES]


@pytest.mark.parametrize(("process", "phase"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_a_killed_process_ends_no_run(  # noqa: PLR0917 - fixtures, which are named
    process, phase, template, settings, oracle, cells, tmp_path
):
    with template.federation(tmp_path / "up") as up:
        attempt = Attempt(up, settings, tmp_path / "run")
        server_app = wait_for_server_app(up)
        attempt.wait_for_phase(phase)
        if (process, phase) == ("ClientApp", "enrol"):
            wait_until(lambda: pids(up, *PROCESSES[process]), 60, "a ClientApp")
        victim, began = kill(up, process), time.monotonic()
        assert victim, f"no {process} runs in {phase}"
        if process in ("SuperExec", "ServerApp"):
            wait_until(lambda: not is_alive(server_app), 30, "the end of the ServerApp")
            attempt.resume()
        record = attempt.finish(200)
    oracle.check(record)
    lost = ", ".join(f"{name} since {told['stage']}" for name, told in record["missing"].items())
    how = f"gone on with {attempt.resumed} times" if attempt.resumed else "not interrupted"
    cells.append((process, phase, victim, how, lost or "none", time.monotonic() - began))


def wait_for_server_app(up) -> int:
    wait_until(lambda: pids(up, "superexec", "flwr-serverapp"), 90, "a ServerApp")
    return pids(up, "superexec", "flwr-serverapp")[-1]
