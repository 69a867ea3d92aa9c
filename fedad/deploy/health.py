"""Is a process of a federation well? For Docker's health checks: exit code 0 says yes.

    python -m fedad.deploy.health superlink HOST:PORT CA      its /health answers 200
    python -m fedad.deploy.health proxy HOST:PORT CA          it shows the Fleet API, and no more
    python -m fedad.deploy.health supernode HOST:PORT         it takes connections
    python -m fedad.deploy.health process NAME                a program of this name runs here

A SuperNode that takes connections may still be cut off from the server: `fedad status server` says
who is online. What is not well is said in a line, which `docker inspect` shows.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Sequence
from pathlib import Path

from fedad.deploy.reach import Server
from fedad.errors import ConfigError, DataError, FedadError
from fedad.plumbing.console import say

SUPERVISOR = "supervise"  # among whose words the name of what it starts is, too


def check(words: Sequence[str], proc: Path = Path("/proc")) -> str:
    """Look at a process, and say what was found.

    Args:
        words: as above.
        proc: where the system tells of its processes.

    Raises:
        FedadError, OSError, http.client.HTTPException: it is not well.
    """
    match list(words):
        case ["superlink", address, ca]:
            return _answers(Server(address, Path(ca)), "GET", "/health", http.client.OK)
        case ["proxy", address, ca]:
            return _answers(Server(address, Path(ca)), "GET", "/", http.client.FORBIDDEN)
        case ["supernode", address]:
            Server(address, Path()).knock()
            return f"{address} takes connections"
        case ["process", name]:
            return _runs(name, proc)
    raise ConfigError(f"{' '.join(words)}: expected superlink, proxy, supernode or process")


def _answers(server: Server, method: str, path: str, expected: int) -> str:
    status, _ = server.answer(path, method=method)
    if status != expected:
        raise DataError(f"{server.address}{path} answers {status}, expected {expected}")
    return f"{server.address}{path} answers {status}"


def _runs(name: str, proc: Path) -> str:
    """That a program runs, and not only what starts it again when it ends."""
    for path in proc.glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if SUPERVISOR not in words and any(Path(word).name == name for word in words[:2]):
            return f"{name} runs as process {path.parent.name}"
    raise DataError(f"{name}: no such process runs here")


def main() -> None:
    """The exit code is 0 where all is well, and 1 with a line of why not."""
    try:
        say(check(sys.argv[1:]))
    except (FedadError, OSError, http.client.HTTPException) as error:
        sys.exit(f"{error or type(error).__name__}")


if __name__ == "__main__":
    main()
