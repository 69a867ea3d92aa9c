"""Start a process, and start it again whenever it ends.

A SuperNode that was killed is refused for 60 s, until its old lease has lapsed, and ends each time.
Docker waits longer from start to start, up to a minute, and may come back after two; here every
wait is the same few seconds, so that a site is back soon after it may be.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

DELAY = 5.0  # seconds between an end and the next start
PATIENCE = 10.0  # seconds that a process has to end when it is told to


def supervise(command: Sequence[str], *, delay: float = DELAY) -> None:
    """Keep `command` running until this process is told to stop; then end both.

    Raises:
        OSError: there is no such program.
    """
    stopped = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopped.set())
    while not stopped.is_set():
        process = subprocess.Popen(command)
        while not stopped.is_set() and process.poll() is None:
            time.sleep(0.2)  # a signal ends the sleep
        if stopped.is_set():
            _end(process)
            return
        print(
            f"{command[0]} ended with {process.returncode}: starting it again in {delay:g} s",
            file=sys.stderr,
            flush=True,
        )
        stopped.wait(delay)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
