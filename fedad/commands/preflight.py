"""`fedad preflight`: is this machine ready for a run? A line a check, and what mends it."""

from __future__ import annotations

import http.client
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fedad.config import Config
from fedad.deploy.certificates import public_of
from fedad.deploy.reach import Server
from fedad.deploy.services import BODY_MIB
from fedad.errors import FedadError
from fedad.plumbing.memory import available
from fedad.policy import Policy, line_of, read_policy
from fedad.running.flower import app_digest
from fedad.types import Site

AHEAD, BEHIND = 4.0, 300.0  # seconds; Flower refuses signatures 5 s ahead and 305 s behind
MONTH = 30  # days before its end at which a certificate should be renewed
LIBRARIES = 2**30  # bytes of a ClientApp beside its features: the network and its libraries
SERVER_FIXED = 500 * 2**20  # bytes of a ServerApp beside three times the uploads
GB = 2**30


class Check(NamedTuple):
    """What was looked at, whether it will do, what was found, and what mends it if not."""

    name: str
    passed: bool
    told: str
    fix: str = ""


def site_checks(  # noqa: PLR0917 - one a line of the command
    config: Config,
    name: str,
    keys: Path,
    data: Path,
    output: Path,
    proxy: str,
    policy: Path | None = None,
) -> Iterator[Check]:
    """Everything at a site, the cheap first; what fails keeps nothing from being looked at.

    Args:
        proxy: what sites see of the server, HOST:PORT.
        policy: the site's own, if it has one.
    """
    server, plant = Server(proxy, keys / "ca.crt"), _Plant(config, name, data, output)
    yield from _keys(keys, ("ca.crt", "node.key", "node.pub", "superexec.secret"))
    fix = "copy the folder that fedad certs made for this site"
    yield _attempt("identity", lambda: _identity(keys, name), fix)
    yield from _line(server)
    policy_fix = "mend the file, or list the app if the server's fedad is the same as this one"
    yield _attempt("policy", lambda: _policy(policy), policy_fix)
    yield _attempt("weights", plant.weights, "put the weights where embedder.weights says")
    data_there = _attempt("data", plant.images, "fedad data check DIR names every file")
    yield data_there
    if data_there.passed:  # what they take depends on how many images there are
        fix = "set coreset.memory-gb to what this machine can spare"
        yield _attempt("disk", plant.disk, f"free space below {output}")
        yield _attempt("memory", plant.memory, fix)


def server_checks(
    config: Config, keys: Path, superlink: str, proxy: str, runs: Path
) -> Iterator[Check]:
    """Everything on the server, its SuperLink and its proxy being up."""
    hub, shown = Server(superlink, keys / "ca.crt"), Server(proxy, keys / "ca.crt")
    yield from _keys(keys, ("ca.crt", "superlink.crt", "superlink.key", "superexec.secret"))
    sites = sorted(path.stem for path in (keys / "sites").glob("*.pub"))
    told = f"{len(sites)} keys: {', '.join(sites)}" if sites else f"no key in {keys / 'sites'}"
    yield Check("sites", bool(sites), told, "fedad certs DIR --site NAME")
    up = _reachable(hub, "superlink")
    yield up
    if up.passed:
        yield _trusted(hub)
        yield _attempt("health", lambda: _status(hub, "/health", 200), "see the SuperLink's log")
    proxied = _reachable(shown, "proxy")
    yield proxied
    if proxied.passed:
        fix = "start the proxy with docker/nginx.conf"
        yield _attempt("hidden", lambda: _status(shown, "/v1/control/list-runs", 403), fix)
        yield _attempt("body", lambda: _body(shown), fix)
        yield _fleet(shown)
    yield _attempt("disk", lambda: _disk(runs, GB), f"free space below {runs}")
    yield _attempt("memory", _server_memory, "give the server's process more memory")


def _attempt(name: str, look: Callable[[], str], fix: str) -> Check:
    """A check that says what it found, or raises why it will not do."""
    try:
        return Check(name, True, look())
    except (FedadError, OSError, http.client.HTTPException) as error:
        return Check(name, False, str(error) or type(error).__name__, fix)


def _keys(folder: Path, names: tuple[str, ...]) -> Iterator[Check]:
    for name in names:
        path = folder / name
        fix = "copy this machine's folder from where fedad certs was run"
        if not os.access(path, os.R_OK):
            yield Check("keys", False, f"{path}: is not there, or may not be read", fix)
        elif path.suffix in (".key", ".secret") and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Check("keys", False, f"{path}: others may read it", f"chmod 600 {path}")
        else:
            yield Check("keys", True, str(path))


def _identity(keys: Path, site: str) -> str:
    """That the private key is the one whose public half the server was told of this site."""
    mine, told = public_of(keys / "node.key"), (keys / "node.pub").read_bytes().split()
    if told[:2] != mine.split()[:2]:
        raise FedadError(f"{keys}: node.key and node.pub are not of one pair")
    if told[2:] != [site.encode()]:
        whose = b" ".join(told[2:]).decode(errors="replace")
        raise FedadError(f"{keys}: node.pub is the key of {whose!a}, and this is {site!a}")
    return f"node.key and node.pub are the pair of {site}"


def _line(server: Server) -> Iterator[Check]:
    """The way to the server, and what it says; nothing more where nobody is there."""
    there = _reachable(server)
    yield there
    if there.passed:
        yield _trusted(server)
        yield _attempt("clock", lambda: _clock(server), "set the clock by NTP (chrony, timesyncd)")
        yield _fleet(server)


def _fleet(server: Server) -> Check:
    """Whether the SuperLink itself answers behind the proxy, which answers for a dead one too."""

    def ask() -> str:
        status, _ = server.answer("/v1/fleet/pull-messages", method="POST")
        if status >= 500:
            raise FedadError(f"{server.address} answers {status} for the SuperLink behind it")
        return "the SuperLink answers behind the proxy"

    return _attempt("fleet", ask, "start the SuperLink, then the proxy; see their logs")


def _reachable(server: Server, name: str = "server") -> Check:
    fix = "is it up, is the address right, does the firewall let this machine out?"

    def knock() -> str:
        server.knock()
        return f"{server.address} answers"

    return _attempt(name, knock, fix)


def _trusted(server: Server) -> Check:
    def until() -> str:
        end = server.valid_until()
        days = (end - datetime.now(UTC)).days
        hint = ": renew it soon" if days < MONTH else ""
        return f"the authority is the same, valid for {days} days more{hint}"

    fix = "take ca.crt from where the server's certificate was made, or renew that certificate"
    return _attempt("certificate", until, fix)


def _clock(server: Server) -> str:
    status, theirs = server.answer("/")
    if theirs is None:
        raise FedadError(f"{server.address} does not say what time it is (status {status})")
    ahead = (datetime.now(UTC) - theirs).total_seconds() - 0.5  # it leaves out the fraction
    told = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    if not -BEHIND < ahead < AHEAD:
        raise FedadError(f"{told}, and a signature is refused above {AHEAD:.0f} s or {BEHIND:.0f}")
    return told


def _policy(path: Path | None) -> str:
    """What the site's policy allows, and the app that this fedad is, to be listed there."""
    policy, app = read_policy(path) if path else Policy(), app_digest()
    if policy.apps is not None and app not in policy.apps:
        raise FedadError(f"{path}: this fedad's app is not among its apps: {app}")
    lines = [line_of(name) for name, value in vars(policy).items() if value is not None]
    limited = f"{path} limits {', '.join(lines) or 'nothing'}" if path else "none: any app may run"
    return f"{limited}; this fedad's app is {app}"


@dataclass(frozen=True)
class _Plant:
    """A site's own folders."""

    config: Config
    name: str
    data: Path
    output: Path

    def images(self) -> str:
        from fedad.images.usable import sift

        site, faults = sift(self.config, self._site())
        kinds = {sample.category for sample in (*site.train, *site.test)}
        skipped = sum(fault.skipped for fault in faults)
        counts = f"{len(site.train)} good images to learn from, {len(site.test)} to judge"
        return f"{counts}, of {', '.join(sorted(kinds))}; {skipped} cannot be used"

    def weights(self) -> str:
        from fedad.embedders.backbone import build

        mark = build(self.config.embedder).fingerprint
        return f"{mark.backbone}, {mark.weights[:16]}: the same at every site"

    def disk(self) -> str:
        from fedad.embedders.in_parts import image_bytes

        site, kept = self._site(), 0
        bank = self.config.coreset.local_ratio * len(site.train) * image_bytes(self._grid())
        if self.config.embedder.cache != "off":
            features = image_bytes(self._grid()) * (len(site.train) + len(site.test))
            kept = min(features, int(self.config.embedder.cache_gb * GB))
        return _disk(self.output, int(3 * bank) + kept)

    def memory(self) -> str:
        from fedad.embedders.in_parts import COPIES, FIXED, image_bytes

        limit = self.config.coreset.memory_gb * GB
        points = len(self._site().train) * image_bytes(self._grid())
        whole = FIXED + (COPIES + self.config.coreset.local_ratio) * points
        needed, there = LIBRARIES + (min(limit, whole) if limit else whole), available()
        told = f"about {needed / GB:.1f} GB needed, {there / GB:.1f} GB available"
        if needed > there:
            raise FedadError(told)
        return told

    def _grid(self) -> tuple[int, int, int]:
        from fedad.embedders.backbone import grid_of

        return grid_of(self.config.embedder)

    def _site(self) -> Site:
        from fedad.datasets.base import open_dataset
        from fedad.partition import one_site

        own = replace(self.config.data, dir=str(self.data.absolute()))
        return one_site(self.name, open_dataset(own), own, seed=self.config.round.seed)


def _status(server: Server, path: str, expected: int) -> str:
    status, _ = server.answer(path, method="GET" if expected == 200 else "POST")
    if status != expected:
        raise FedadError(f"{server.address}{path} answers {status}, expected {expected}")
    return f"{server.address}{path} answers {status}"


def _body(server: Server) -> str:
    path, size = "/v1/fleet/push-object", (BODY_MIB + 1) * 2**20
    status, _ = server.answer(path, method="POST", announced=size)
    if status != 413:
        raise FedadError(f"a body of {BODY_MIB + 1} MiB gets {status}, expected 413")
    return f"a body of {BODY_MIB + 1} MiB is refused"


def _disk(folder: Path, needed: int) -> str:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    told = f"{needed / GB:.2f} GB needed, {free / GB:.1f} GB free"
    if free < needed:
        raise FedadError(told)
    if not os.access(there, os.W_OK):
        raise FedadError(f"{there}: may not be written")
    return told


def _server_memory() -> str:
    there = available()
    room = (there - SERVER_FIXED) / 3
    if room <= 0:
        raise FedadError(f"{there / GB:.1f} GB available, and a ServerApp takes 0.5 by itself")
    return f"{there / GB:.1f} GB available: enough for uploads of {room / GB:.1f} GB in all"
