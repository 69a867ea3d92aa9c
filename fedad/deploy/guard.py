"""Start a site's SuperExec so that each app is looked at before it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fedad.errors import ConfigError
from fedad.plumbing.files import cache_root, write_atomic

PROGRAM = "flwr-clientapp"  # what SuperExec starts for each message, found on PATH


def guard(command: Sequence[str]) -> None:
    """Become `command`, which finds our program where it looks for Flower's.

    Raises:
        ConfigError: there is no such program.
    """
    folder = stand_in(cache_root() / "guard")
    path = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        os.execvpe(command[0], [*command], {**os.environ, "PATH": path})
    except OSError as error:
        raise ConfigError(
            f"{command[0]}: cannot be started ({error.strerror}): expected a program and its "
            "words, such as fedad guard -- flower-superexec ..."
        ) from error


def stand_in(folder: Path) -> Path:
    """Write our program under Flower's name into `folder`, and return the folder.

    The program runs in this very environment.
    """
    program = folder / PROGRAM
    write_atomic(
        program, f"#!{sys.executable}\nfrom client_app.gate import main\n\nmain()\n", flush=False
    )
    program.chmod(0o755)
    return folder
