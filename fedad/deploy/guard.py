"""Start a site's SuperExec so that nothing of a server's runs there before we looked at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fedad.deploy.stand_ins import stand_in, try_out
from fedad.errors import ConfigError
from fedad.plumbing.files import cache_root, private_file, private_folder
from fedad.plumbing.private import fresh_folder
from fedad.policy import AUDIT, CHECKED_APP, OWN_APP
from fedad.running.flower import app_digest

EXECUTOR, INSTALL = "--executor", "--allow-runtime-dependency-installation"


def guard(command: Sequence[str], audit: Path | None = None) -> None:
    """Become `command`, which finds our programs, and no others, where it looks for Flower's.

    Args:
        command: SuperExec and its words.
        audit: the site's own folder, for the audit of what is refused; else one in the cache.

    Raises:
        ConfigError: there is no such program, or it is told to pass us by; ours cannot be
            executed; the audit cannot be written.
        FedadError: Flower does not build the app of this fedad.
    """
    _check_words(command)
    program = shutil.which(command[0])
    if program is None:
        raise ConfigError(
            f"{command[0]}: cannot be started (there is no such program): expected a program and "
            "its words, such as fedad guard -- flower-superexec ..."
        )
    environment = {name: value for name, value in os.environ.items() if name != CHECKED_APP}
    environment |= {"PATH": str(programs(audit)), OWN_APP: app_digest()}
    try:
        os.execve(os.path.abspath(program), [*command], environment)
    except OSError as error:
        raise ConfigError(f"{program}: cannot be started ({error.strerror})") from error


def programs(audit: Path | None = None, *, over_exec: bool = True) -> Path:
    """A fresh folder with our programs, each of which was executed once.

    Args:
        audit: as for `guard`.
        over_exec: whether it stays when this process becomes another program.

    Raises:
        ConfigError: they cannot be written or executed, or the audit cannot be written.
    """
    cache = cache_root() / "guard"
    audit = (audit or cache).absolute()
    try:
        private_file(private_folder(audit) / AUDIT)
        folder = fresh_folder(cache, "programs", over_exec=over_exec)
        stand_in(folder, audit)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or cache}: cannot be written ({error.strerror}): expected room for "
            f"the guard's programs in {cache} and for the audit in {audit}"
        ) from error
    try_out(folder)
    return folder


def _check_words(command: Sequence[str]) -> None:
    """Refuse words by which SuperExec would start, or install, what no policy can list."""
    for k, word in enumerate(command):
        name, _, value = word.partition("=")
        if name == EXECUTOR and (value or [*command, ""][k + 1]) != "subprocess":
            raise ConfigError(
                f"{word}: SuperExec would not start its programs here, where they are looked at: "
                f"expected {EXECUTOR} subprocess, or nothing"
            )
        if name.startswith("--al") and INSTALL.startswith(name):  # Flower takes shortened words
            raise ConfigError(
                f"{word}: an app would bring code that its sha256 does not cover: expected its "
                "requirements to be installed with fedad"
            )
