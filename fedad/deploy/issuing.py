"""What `fedad certs` does with its words, and what is to be done next on which machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fedad.deploy import expiry, rotation
from fedad.deploy.certificates import make_keys, sites_in
from fedad.errors import ConfigError


class Issued(NamedTuple):
    """The files that were written, and what is to be done next, in sentences."""

    written: list[Path]
    next: list[str]


def issue(
    folder: Path,
    *,
    hosts: Sequence[str],
    sites: Sequence[str],
    days: int,
    renew: str | None = None,
    retire: str | None = None,
) -> Issued:
    """Make keys, or others in their place; see `certificates.make_keys` and `rotation`.

    Raises:
        ConfigError: words that do not go together.
        FedadError: what cannot be made, and why.
    """
    if (renew or retire) and (sites or (retire and (renew or hosts))):
        raise ConfigError(
            "--renew and --retire: expected one of them alone, or --renew server with --host: "
            "what is made anew and what is made first take different steps"
        )
    if renew:
        return Issued(
            rotation.renew(folder, renew, hosts=hosts, days=days), _after_renewal(folder, renew)
        )
    if retire:
        return Issued(rotation.retire(folder, retire), _after_retiring(folder, retire))
    written = make_keys(folder, hosts=hosts, sites=sites, days=days)
    return Issued(written, _after_making(folder) if written else _nothing(folder))


def _after_making(folder: Path) -> list[str]:
    return [
        f"Keep {folder / 'authority' / 'ca.key'} off the network: who has it can pose as the "
        "server.",
        f"Each other folder goes to its machine, and then: fedad register {folder}/server",
    ]


def _nothing(folder: Path) -> list[str]:
    """What there is, where nothing was asked for that is not there."""
    known = ", ".join(sites_in(folder)) or "no site"
    until = expiry.checked(folder / "server" / "superlink.crt", "the server's certificate")
    return [
        f"nothing to make: {folder} has an authority and keys of {known}",
        until,
        expiry.checked(folder / "authority" / "ca.crt", "the authority"),
        "--site NAME makes a key of one more site, --renew WHAT another of what is there",
    ]


def _after_renewal(folder: Path, what: str) -> list[str]:
    if what == rotation.SERVER:
        return [
            "Start the server's processes again, one after the other: superlink, superexec, proxy. "
            "Sites come back by themselves.",
            "A site whose ca.crt does not have the newest authority will not know it.",
        ]
    if what == rotation.AUTHORITY:
        return [
            f"Copy ca.crt of each folder in {folder} to its machine, and start that machine's "
            "processes again when it suits; old and new certificates are known by it.",
            f"When all have it: fedad certs {folder} --renew server, and last --retire authority.",
        ]
    return [
        f"Start the proxy again, then: fedad register {folder}/server --site {what}",
        f"Copy {folder / what} to its machine and start its processes again: it comes by the new "
        "key.",
        f"Last: fedad unregister {what} --old --keys {folder}/server, and fedad certs {folder} "
        f"--retire {what}",
    ]


def _after_retiring(folder: Path, what: str) -> list[str]:
    if what == rotation.AUTHORITY:
        return [
            f"Copy ca.crt of each folder in {folder} to its machine: the authority before is "
            "forgotten where that is done."
        ]
    return [f"Start the proxy again: by its old key {what} is a stranger from then on."]
