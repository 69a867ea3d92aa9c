"""Is the server ready for a run? Its keys, its SuperLink, what its proxy shows, disk and memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fedad.deploy.checks import (
    GB,
    Check,
    attempt,
    authority,
    fleet,
    free_disk,
    key_files,
    private,
    reachable,
    trusted,
)
from fedad.deploy.reach import Server
from fedad.deploy.services import BODY_MIB
from fedad.errors import FedadError
from fedad.plumbing.memory import available

FIXED = 500 * 2**20  # bytes of a ServerApp beside three times the uploads
KEYS = ("ca.crt", "superlink.crt", "superlink.key", "superexec.secret")


def server_checks(keys: Path, superlink: str, proxy: str, runs: Path) -> Iterator[Check]:
    """Look at everything on the server, its SuperLink and its proxy being up.

    Args:
        keys: the server's folder of keys.
        superlink: the SuperLink's own address, HOST:PORT.
        proxy: what sites see of it, HOST:PORT.
        runs: where run folders go.
    """
    hub, front = Server(superlink, keys / "ca.crt"), Server(proxy, keys / "ca.crt")
    yield from key_files(keys, KEYS)
    yield from private([keys, runs])
    yield _sites(keys / "sites")
    yield authority(keys / "ca.crt")
    up = reachable(hub, "superlink")
    yield up
    if up.passed:
        yield trusted(hub)
        yield attempt("health", lambda: _status(hub, "/health", 200), "see the SuperLink's log")
    proxied = reachable(front, "proxy")
    yield proxied
    if proxied.passed:
        fix = "start the proxy with docker/nginx.conf"
        yield attempt("hidden", lambda: _status(front, "/v1/control/list-runs", 403), fix)
        yield attempt("body", lambda: _body(front), fix)
        yield fleet(front)
    yield attempt("disk", lambda: free_disk(runs, GB), f"free space below {runs}")
    yield attempt("memory", _memory, "give the server's process more memory")


def _sites(folder: Path) -> Check:
    """Whether there is a public key of any site, and the proxy knows each of them."""
    sites = sorted(path.stem for path in folder.glob("*.pub"))
    strangers = [site for site in sites if not (folder / f"{site}.known").exists()]
    if strangers:
        fix = "fedad certs DIR, where the authority is, makes them; then start the proxy again"
        told = f"the proxy takes {', '.join(strangers)} for strangers: no {strangers[0]}.known"
        return Check("sites", False, f"{folder}: {told}", fix)
    listed = f"{len(sites)} keys: {', '.join(sites)}" if sites else f"no key in {folder}"
    return Check("sites", bool(sites), listed, "fedad certs DIR --site NAME")


def _status(server: Server, path: str, expected: int) -> str:
    status, _ = server.answer(path, method="GET" if expected == 200 else "POST")
    if status != expected:
        raise FedadError(f"{server.address}{path} answers {status}, expected {expected}")
    return f"{server.address}{path} answers {status}"


def _body(server: Server) -> str:
    """That a body above the limit is refused, by its announced length."""
    path, size = "/v1/fleet/push-object", (BODY_MIB + 1) * 2**20
    status, _ = server.answer(path, method="POST", announced=size)
    if status != 413:
        raise FedadError(f"a body of {BODY_MIB + 1} MiB gets {status}, expected 413")
    return f"a body of {BODY_MIB + 1} MiB is refused"


def _memory() -> str:
    there = available()
    room = (there - FIXED) / 3
    if room <= 0:
        raise FedadError(f"{there / GB:.1f} GB available, and a ServerApp takes 0.5 by itself")
    return f"{there / GB:.1f} GB available: enough for uploads of {room / GB:.1f} GB in all"
