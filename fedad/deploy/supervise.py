"""Start a process, and start it again whenever it ends.

A SuperNode that was killed is refused for 60 s, until its old lease has lapsed, and ends each time.
Docker waits longer from start to start, up to a minute, and may come back after two; here every
wait is the same few seconds, so that a site is back soon after it may be.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fedad.errors import ConfigError
from fedad.plumbing.console import say
from fedad.plumbing.logs import line, relayed, wanted

DELAY = 5.0  # seconds between an end and the next start
PATIENCE = 10.0  # seconds that a process has to end when it is told to
OWNER = "FEDAD_OWNER"  # in the environment: the process without which all of this shall end


def supervise(command: Sequence[str], *, delay: float = DELAY) -> None:
    """Keep `command` running until this process is told to stop; then end both.

    Raises:
        ConfigError: there is no such program.
    """
    stopped = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopped.set())
    structured = wanted()
    while not stopped.is_set():
        process = _started(command, relay=structured)
        while not stopped.is_set() and process.poll() is None:
            stopped.wait(0.2)
            _end_if_orphaned()
        if stopped.is_set():
            _end(process)
            return
        told = f"{command[0]} ended with {process.returncode}: starting it again in {delay:g} s"
        say(line(told, "WARNING", process="supervise") if structured else told, error=True)
        stopped.wait(delay)
        _end_if_orphaned()


def _started(command: Sequence[str], *, relay: bool) -> subprocess.Popen[bytes]:
    """Start it; what it says goes where ours does, as JSON if that is to be relayed."""
    piped = subprocess.PIPE if relay else None
    both = subprocess.STDOUT if relay else None
    try:
        process = subprocess.Popen(command, stdout=piped, stderr=both)
        if process.stdout is not None:
            words = (process.stdout, _name(command))
            threading.Thread(target=_relay, args=words, daemon=True).start()
        return process
    except OSError as error:
        raise ConfigError(
            f"{command[0]}: cannot be started ({error.strerror}): expected a program and its "
            "words, such as fedad supervise -- flower-supernode ..."
        ) from error


def _relay(said: IO[bytes], name: str) -> None:
    """Pass on what a process and those that it started say, line by line, until all have ended."""
    for text in said:
        if text.strip():
            say(relayed(text.decode(errors="replace"), name))
            sys.stdout.flush()


def _name(command: Sequence[str]) -> str:
    """The program that the words are about: of `fedad guard -- flower-superexec`, the last."""
    after = [*command][[*command].index("--") + 1 :] if "--" in command else [*command]
    return Path(after[0] if after else command[0]).name


def _end_if_orphaned() -> None:
    """Kill this process's group, which is its own, once its owner was killed and cannot."""
    owner = os.environ.get(OWNER)
    if owner and os.getppid() != int(owner) and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
