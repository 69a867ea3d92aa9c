"""Is a plant's machine ready for a run? Keys, the way to the server, policy, data and room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fedad.config import Config
from fedad.deploy.certificates import public_of
from fedad.deploy.checks import (
    Check,
    attempt,
    authority,
    fleet,
    key_files,
    private,
    reachable,
    trusted,
)
from fedad.deploy.guard import programs
from fedad.deploy.ledger_check import Ledgers
from fedad.deploy.plant import Plant
from fedad.deploy.reach import Server
from fedad.embedders.patch_count import patches_of
from fedad.errors import FedadError
from fedad.permits.settings import beyond, digest_of
from fedad.plumbing.files import cache_root, expanded
from fedad.plumbing.parse import read_toml
from fedad.policy import Policy, read_policy
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
    leak_images: int = 0,
    ledger: Path | None = None,
    mirror: Path | None = None,
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
        leak_images: how many images tell what an upload would give away; 0: nothing is told.
        ledger: the folder of its ledgers; below `output` if not told.
        mirror: the folder of their copies, if it has them.
    """
    server, plant = Server(proxy, keys / "ca.crt"), Plant(config, name, data, output)
    yield from key_files(keys, KEYS)
    yield from private(dict.fromkeys([keys, output, *_caches(config)]))
    fix = "copy the folder that fedad certs made for this site"
    yield attempt("identity", lambda: _identity(keys, name), fix)
    yield authority(keys / "ca.crt")
    yield from _line(server)
    policy_fix = "mend the file, or list the app if the server's fedad is the same as this one"
    yield attempt("policy", lambda: _policy(policy, config), policy_fix)
    fix = "mend what fedad guard needs: a cache on a disk of this user's own, and this Python"
    yield attempt("guard", _guard, fix)
    yield attempt("weights", plant.weights, "put the weights where embedder.weights says")
    pin_fix = "install the same fedad and weights as the others, or ask the server which are right"
    yield attempt("fingerprint", plant.fingerprint, pin_fix)
    data_there = attempt("data", plant.images, "fedad data check DIR names every file")
    yield data_there
    if data_there.passed:  # what they take depends on how many images there are
        own = Ledgers(config, name, ledger or output / "ledger", output, mirror)
        yield from own.checks(plant.counted())
        fix = "set coreset.memory-gb to what this machine can spare"
        yield attempt("disk", plant.disk, f"free space below {output}")
        yield attempt("memory", plant.memory, fix)
        if leak_images:
            yield from _leak(plant, leak_images)


def _leak(plant: Plant, images: int) -> Iterator[Check]:
    """What its upload would give away, a line a product; none of it keeps a site from a run."""
    try:
        for product, told in plant.leak(images):
            yield Check("leak", True, f"{product}: {told}")
    except (FedadError, OSError) as error:
        fix = "mend what the line names; or leave this out with --leak-images 0"
        yield Check("leak", False, str(error), fix)


def _caches(config: Config) -> list[Path]:
    """Where features and what was found out about images are kept on this machine, if anywhere."""
    chosen = config.embedder.cache
    own = [expanded(chosen)] if chosen not in ("", "off") else []
    return [folder for folder in (cache_root(), *own) if folder.exists()]


def _identity(keys: Path, site: str) -> str:
    """That the private key is the one whose public half the server was told of this site."""
    own, public = public_of(keys / "node.key"), (keys / "node.pub").read_bytes().split()
    if public[:2] != own.split()[:2]:
        raise FedadError(f"{keys}: node.key and node.pub are not of one pair")
    if public[2:] != [site.encode()]:
        whose = b" ".join(public[2:]).decode(errors="replace")
        raise FedadError(f"{keys}: node.pub is the key of {whose!a}, and this is {site!a}")
    return f"node.key and node.pub are the pair of {site}"


def _guard() -> str:
    """That `fedad guard` can put its programs in the place of Flower's; they are removed again."""
    folder = programs(over_exec=False)
    shutil.rmtree(folder, ignore_errors=True)
    return f"its programs can be executed in {folder.parent}"


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


def _policy(path: Path | None, config: Config) -> str:
    """What the site's policy limits, and what would be listed there: the app, the configuration."""
    policy, app = read_policy(path) if path else Policy(), app_digest()
    if policy.apps is not None and app not in policy.apps:
        raise FedadError(f"{path}: this fedad's app is not among its apps: {app}")
    refused = [
        f"{line}: {told}" for line, told in beyond(policy, config, partial(patches_of, config))
    ]
    if refused and path:
        raise FedadError(f"{path}: a run with this configuration is refused ({'; '.join(refused)})")
    limited = f"{path} limits {', '.join(read_toml(path)) or 'nothing'}" if path else "none"
    asked = f"this configuration, {digest_of(config)}, is "
    asked += f"refused by the defaults ({'; '.join(refused)})" if refused else "allowed"
    return f"{limited}; {asked}; this fedad's app is {app}"
