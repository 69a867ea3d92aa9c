"""Our programs in the place of Flower's: one for each type of task that a server can name.

Flower's SuperExec starts a program by its name, which it looks for on PATH. Here the folder that is
its whole PATH has a program for every type: one looks at the app and then does what Flower's own
does, the others refuse.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fedad.errors import ConfigError
from fedad.plumbing.files import private_file

PROGRAM = "flwr-clientapp"  # the one type of task that a site takes
PROGRAMS = (
    "flwr-agentapp",
    PROGRAM,
    "flwr-connector",
    "flwr-model",
    "flwr-serverapp",
    "flwr-simulation",
)
CHECK = "--fedad-check"  # a program of ours answers it with its name and the word that follows
PATIENCE = 60.0  # seconds that a program may take to answer


def stand_in(folder: Path, audit: Path) -> None:
    """Write our programs into `folder`, which is empty and nobody else's.

    Each is a shell script that names the interpreter in quotes: a first line with `#!` can be too
    long, and has no quotes for a path with a space.

    Args:
        audit: the folder whose `audit.jsonl` says what was refused.

    Raises:
        ConfigError: a folder whose name ends a part of PATH.
        OSError: they cannot be written.
    """
    if os.pathsep in str(folder):
        raise ConfigError(
            f"{folder}: has {os.pathsep!r} in its name, which divides PATH: set XDG_CACHE_HOME to "
            "a folder without one"
        )
    for name in PROGRAMS:
        code = folder / f"{name}.py"  # a process is known by this name: see client_app/watchdog.py
        private_file(code).write_text(_code(name, audit), "utf-8")
        words = ["exec", shlex.quote(sys.executable), shlex.quote(str(code)), '"$@"']
        lines = ["#!/bin/sh", " ".join(words)]
        if name == PROGRAM:  # an app that is let in finds programs as before
            path = shlex.quote(os.environ.get("PATH", os.defpath))
            lines[1:1] = [f"PATH={path}", "export PATH"]
        program = private_file(folder / name)
        program.write_bytes(os.fsencode("\n".join([*lines, ""])))
        program.chmod(0o700)


def _code(name: str, audit: Path) -> str:
    module, told = ("gate", "") if name == PROGRAM else ("refusal", f"{name!r}, {str(audit)!r}")
    return f'from client_app.{module} import main\n\nif __name__ == "__main__":\n    main({told})\n'


def try_out(folder: Path) -> None:
    """Start each program once, as SuperExec does: by its name, with `folder` as the whole PATH.

    Raises:
        ConfigError: one cannot be executed, or something else answers in its place.
    """
    word = secrets.token_hex(16)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _try(folder, name, word), PROGRAMS))


def _try(folder: Path, name: str, word: str) -> None:
    try:
        done = subprocess.run(
            [name, CHECK, word],
            env={**os.environ, "PATH": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except OSError as error:
        raise ConfigError(
            f"{folder / name}: cannot be executed ({error.strerror}): no app could be looked at: "
            "is the folder on a disk that is mounted noexec? set XDG_CACHE_HOME to another"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{folder / name}: no answer in {PATIENCE:.0f} s: is {sys.executable} Python?"
        ) from error
    if done.returncode or done.stdout.strip() != _answer(name, word):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ConfigError(
            f"{folder / name}: does not answer as ours ({last[:200]}): expected "
            f"{sys.executable!r} to start this fedad, and Flower to be the one that it was made for"
        )


def answers_check(name: str, lacks: Callable[[], str] = str) -> bool:
    """Whether this process was started by `try_out`, and has answered.

    Args:
        lacks: says why the program could not do its work; empty if it could.
    """
    if sys.argv[1:2] != [CHECK]:
        return False
    if told := lacks():
        sys.exit(told)
    print(_answer(name, " ".join(sys.argv[2:])))
    return True


def _answer(name: str, word: str) -> str:
    return f"{name} {word}"
