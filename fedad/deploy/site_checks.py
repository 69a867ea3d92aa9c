"""Is a plant's machine ready for a run? Keys, the way to the server, policy, data and room."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fedad.config import Config
from fedad.deploy.certificates import public_of
from fedad.deploy.checks import Check, attempt, fleet, key_files, reachable, trusted
from fedad.deploy.plant import Plant
from fedad.deploy.reach import Server
from fedad.errors import FedadError
from fedad.policy import Policy, line_of, read_policy
from fedad.running.flower import app_digest

AHEAD, BEHIND = 4.0, 300.0  # seconds; Flower refuses signatures 5 s ahead and 305 s behind
KEYS = ("ca.crt", "node.key", "node.pub", "superexec.secret")


def site_checks(  # noqa: PLR0917 - one a line of the command
    config: Config,
    name: str,
    keys: Path,
    data: Path,
    output: Path,
    proxy: str,
    policy: Path | None = None,
) -> Iterator[Check]:
    """Look at everything at a site, the cheap first; what fails keeps nothing from being looked at.

    Args:
        config: how a run will embed and select here.
        name: the site's.
        keys: its folder of keys.
        data: the folder of its images.
        output: its own folder, for what never leaves.
        proxy: what sites see of the server, HOST:PORT.
        policy: the site's own, if it has one.
    """
    server, plant = Server(proxy, keys / "ca.crt"), Plant(config, name, data, output)
    yield from key_files(keys, KEYS)
    fix = "copy the folder that fedad certs made for this site"
    yield attempt("identity", lambda: _identity(keys, name), fix)
    yield from _line(server)
    policy_fix = "mend the file, or list the app if the server's fedad is the same as this one"
    yield attempt("policy", lambda: _policy(policy), policy_fix)
    yield attempt("weights", plant.weights, "put the weights where embedder.weights says")
    data_there = attempt("data", plant.images, "fedad data check DIR names every file")
    yield data_there
    if data_there.passed:  # what they take depends on how many images there are
        fix = "set coreset.memory-gb to what this machine can spare"
        yield attempt("disk", plant.disk, f"free space below {output}")
        yield attempt("memory", plant.memory, fix)


def _identity(keys: Path, site: str) -> str:
    """That the private key is the one whose public half the server was told of this site."""
    own, public = public_of(keys / "node.key"), (keys / "node.pub").read_bytes().split()
    if public[:2] != own.split()[:2]:
        raise FedadError(f"{keys}: node.key and node.pub are not of one pair")
    if public[2:] != [site.encode()]:
        whose = b" ".join(public[2:]).decode(errors="replace")
        raise FedadError(f"{keys}: node.pub is the key of {whose!a}, and this is {site!a}")
    return f"node.key and node.pub are the pair of {site}"


def _line(server: Server) -> Iterator[Check]:
    """The way to the server, and what it says; nothing more where nobody is there."""
    there = reachable(server)
    yield there
    if there.passed:
        yield trusted(server)
        yield attempt("clock", lambda: _clock(server), "set the clock by NTP (chrony, timesyncd)")
        yield fleet(server)


def _clock(server: Server) -> str:
    """How far this machine's clock is from the server's, which is within what Flower lets in."""
    status, theirs = server.answer("/")
    if theirs is None:
        raise FedadError(f"{server.address} does not say what time it is (status {status})")
    ahead = (datetime.now(UTC) - theirs).total_seconds() - 0.5  # it leaves out the fraction
    gap = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    if not -BEHIND < ahead < AHEAD:
        raise FedadError(f"{gap}, and a signature is refused above {AHEAD:.0f} s or {BEHIND:.0f}")
    return gap


def _policy(path: Path | None) -> str:
    """What the site's policy allows, and the app that this fedad is, to be listed there."""
    policy, app = read_policy(path) if path else Policy(), app_digest()
    if policy.apps is not None and app not in policy.apps:
        raise FedadError(f"{path}: this fedad's app is not among its apps: {app}")
    lines = [line_of(name) for name, value in vars(policy).items() if value is not None]
    limited = f"{path} limits {', '.join(lines) or 'nothing'}" if path else "none: any app may run"
    return f"{limited}; this fedad's app is {app}"
