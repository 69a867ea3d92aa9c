"""What is looked at before a run, on a plant's machine and on the server's alike.

`site_checks.py` and `server_checks.py` put these together with what is looked at on one of the two.
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fedad.deploy import expiry
from fedad.deploy.reach import Server
from fedad.errors import FedadError
from fedad.plumbing.files import OTHERS

GB = 2**30


class Check(NamedTuple):
    """What was looked at, whether it will do, what was found, and what mends it if not."""

    name: str
    passed: bool
    told: str
    fix: str = ""


def attempt(name: str, look: Callable[[], str], fix: str) -> Check:
    """Look at something.

    Args:
        look: returns what it found, or raises why that will not do.
        fix: what mends it then.
    """
    try:
        return Check(name, True, look())
    except (FedadError, OSError, http.client.HTTPException) as error:
        return Check(name, False, str(error) or type(error).__name__, fix)


def key_files(folder: Path, names: tuple[str, ...]) -> Iterator[Check]:
    """Whether files of keys are in a folder, and private ones are their owner's alone."""
    for name in names:
        path = folder / name
        fix = "copy this machine's folder from where fedad certs was run"
        if not os.access(path, os.R_OK):
            yield Check("keys", False, f"{path}: is not there, or may not be read", fix)
        elif path.suffix in (".key", ".secret") and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Check("keys", False, f"{path}: others may read it", f"chmod 600 {path}")
        else:
            yield Check("keys", True, str(path))


def private(folders: Iterable[Path]) -> Iterator[Check]:
    """Whether all that is in a machine's own folders is its owner's alone; a check a folder.

    A folder that is not there yet will be, by whoever makes it first.
    """
    for folder in folders:
        fix = f"chmod -R go= {shlex.quote(str(folder))}"
        open_ = [(path, mode) for path, mode in _modes(folder) if mode & OTHERS]
        if open_:
            path, mode = open_[0]
            more = f", and {len(open_) - 1} more below {folder}" if len(open_) > 1 else ""
            told = f"{path}: mode {mode:04o}, which lets other users of this machine in{more}"
            yield Check("modes", False, told, fix)
        else:
            there = "its owner's alone" if folder.exists() else "is not there yet"
            yield Check("modes", True, f"{folder}: {there}")


def _modes(folder: Path) -> Iterator[tuple[Path, int]]:
    """A folder and all that is in it, the upper first, with the bits of who may do what."""
    for path in (folder, *sorted(folder.rglob("*"))):
        with suppress(FileNotFoundError):  # also what another process has just removed
            about = path.lstat()
            if not stat.S_ISLNK(about.st_mode):
                yield path, stat.S_IMODE(about.st_mode)


def reachable(server: Server, name: str = "server") -> Check:
    """Whether anybody takes connections at the server's address."""
    fix = "is it up, is the address right, does the firewall let this machine out?"

    def knock() -> str:
        server.knock()
        return f"{server.address} answers"

    return attempt(name, knock, fix)


def trusted(server: Server) -> Check:
    """Whether the authority that this machine knows has signed the server's certificate."""

    def until() -> str:
        return f"the authority is the same; {expiry.of_server(server).told()}"

    fix = (
        "take ca.crt from where the server's certificate was made, or renew that certificate: "
        "fedad certs DIR --renew server"
    )
    return attempt("certificate", until, fix)


def authority(path: Path) -> Check:
    """Whether an authority that this machine knows is still valid."""
    fix = "fedad certs DIR --renew authority, then ca.crt of this machine's folder from there"
    return attempt("authority", lambda: expiry.checked(path, "the authority"), fix)


def fleet(server: Server) -> Check:
    """Whether the SuperLink itself answers behind the proxy, which answers for a dead one too."""

    def ask() -> str:
        status, _ = server.answer("/v1/fleet/pull-messages", method="POST")
        if status >= 500:
            raise FedadError(f"{server.address} answers {status} for the SuperLink behind it")
        return "the SuperLink answers behind the proxy"

    return attempt("fleet", ask, "start the SuperLink, then the proxy; see their logs")


def free_disk(folder: Path, needed: int) -> str:
    """How much is free where `folder` is or will be.

    Raises:
        FedadError: less than `needed` bytes, or nothing may be written there.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    room = f"{needed / GB:.2f} GB needed, {free / GB:.1f} GB free"
    if free < needed:
        raise FedadError(room)
    if not os.access(there, os.W_OK):
        raise FedadError(f"{there}: may not be written")
    return room
