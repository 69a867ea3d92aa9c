"""`fedad supervise`: what ends is started again, and one signal ends both."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FEDAD = [sys.executable, "-c", "from fedad.cli import main; main()", "supervise"]


def supervised(delay, code):
    command = [*FEDAD, "--delay", str(delay), "--", sys.executable, "-c", code]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_what_ends_is_started_again():
    with supervised(0.1, "print('begun', flush=True); raise SystemExit(3)") as process:
        begun = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert begun == ["begun\n"] * 3
    assert "ended with 3: starting it again in 0.1 s" in said
    assert process.returncode == 0


def test_a_signal_ends_what_runs_and_starts_nothing():
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with supervised(0.1, code) as process:
        child = int(process.stdout.readline())
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert time.monotonic() - began < 15
    assert rest == ""
    assert not Path(f"/proc/{child}").exists()


OWNING = """
import os, subprocess, sys, time
owned = {**os.environ, "FEDAD_OWNER": str(os.getpid())}
subprocess.Popen(sys.argv[1:], start_new_session=True, env=owned)
time.sleep(300)
"""


def test_what_was_started_ends_with_an_owner_that_is_killed():
    code = "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(300)"
    command = [sys.executable, "-c", OWNING, *FEDAD, "--", sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        owner.kill()
        assert owner.stdout.read() == ""  # which ends once nobody has the pipe any more
    assert len(pids) == 2
    until = time.monotonic() + 20
    while any(_runs(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in pids)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_program_that_is_not_there_is_said():
    command = [*FEDAD, "--", "/no/such"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: /no/such: cannot be started")
