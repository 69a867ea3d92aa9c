"""Another key for a site, another certificate for the server, another authority; nobody stops.

Each takes the place of the old in two steps, between which both are good:

    --renew lyon        lyon's new key beside its old one: both pass the proxy, each is registered
    --retire lyon       the proxy forgets the old key; fedad unregister shuts it out
    --renew authority   every ca.crt holds the new authority and the one before it
    --renew server      a certificate by the newest authority, for the same names
    --retire authority  every ca.crt holds the new one alone

Between two steps files are copied to the machines and processes are started again, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from fedad.deploy.certificates import (
    BEFORE,
    RESERVED,
    authority_in,
    check_days,
    check_hosts,
    sites_in,
    trusted_in,
)
from fedad.deploy.signing import (
    hosts_of,
    known_line,
    new_authority,
    server_kit,
    site_kit,
)
from fedad.errors import ConfigError, DataError
from fedad.plumbing.files import write_atomic

AUTHORITY, SERVER = RESERVED


def renew(folder: Path, what: str, *, hosts: Sequence[str], days: int) -> list[Path]:
    """Make new files for one site, for the server or for the authority; the old stay good.

    Args:
        folder: where `fedad certs` made the keys.
        what: "authority", "server" or the name of a site.
        hosts: the server's names from now on; those of its certificate if none.
        days: how long the server's certificate is valid.

    Returns:
        what was written, for its owner alone.

    Raises:
        ConfigError: no such site, a host that cannot be, or more days than the authority has.
        DataError: the authority is not there, or an earlier one was not retired yet.
    """
    if what == AUTHORITY:
        return _written(folder, _another_authority(folder))
    if what == SERVER:
        return _written(folder, _another_certificate(folder, hosts, days))
    _check_site(folder, what)
    return _written(folder, _another_key(folder, what))


def retire(folder: Path, what: str) -> list[Path]:
    """Let go of what was before the newest authority, or before the newest key of a site.

    Raises:
        ConfigError: nothing can be retired by that name.
        DataError: there is nothing before it; or the server's certificate is still of the
            authority that would go.
    """
    if what == SERVER:
        raise ConfigError(
            "--retire server: expected authority, or a site: what the server showed before is "
            "nowhere once it is started again"
        )
    if what == AUTHORITY:
        return _one_authority(folder)
    _check_site(folder, what)
    line, file = _line(folder, what), f"server/sites/{what}.known"
    if (folder / file).exists() and (folder / file).read_bytes() == line:
        raise DataError(f"{folder / file}: {what} has one key alone: there is nothing to retire")
    return _written(folder, {file: line})


def _check_site(folder: Path, site: str) -> None:
    if site not in (known := sites_in(folder)):
        raise ConfigError(
            f"{site!r}: no such site has keys in {folder}: expected {AUTHORITY}, {SERVER} or one "
            f"of {', '.join(known) or 'none'}"
        )


def _another_key(folder: Path, site: str) -> dict[str, bytes]:
    """The old line stays in what the proxy knows; the SuperLink is told of the new key."""
    kit, sites = site_kit(site), f"server/sites/{site}"
    line = known_line(kit["node.pub"], site)
    secret = f"{site}/superexec.secret"
    there = (folder / secret).exists()  # the machine's own processes know one another by it
    return {
        f"{sites}.known": line + _line(folder, site),
        f"{sites}.pub": kit["node.pub"],
        **{f"{site}/{name}": kit[name] for name in ("node.pub", "node.key")},
        **({} if there else {secret: kit["superexec.secret"]}),
        f"{site}/ca.crt": trusted_in(folder),
    }


def _line(folder: Path, site: str) -> bytes:
    """What the proxy knows a site's newest key by."""
    path = folder / "server" / "sites" / f"{site}.pub"
    try:
        return known_line(path.read_bytes(), site)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise DataError(f"{path}: expected a site's public key ({error})") from error


def _another_certificate(folder: Path, hosts: Sequence[str], days: int) -> dict[str, bytes]:
    check_hosts(hosts)
    key, signer = authority_in(folder)
    check_days(days, signer)
    made = server_kit(key, signer, hosts or hosts_of(_certificate(folder)), days)
    return {f"server/{name}": made[name] for name in ("superlink.key", "superlink.crt")}


def _another_authority(folder: Path) -> dict[str, bytes]:
    """What all machines are to know comes first, and the authority that signs last: cut short
    anywhere, the same again makes all."""
    place = folder / "authority"
    before, own = place / f"{BEFORE}.crt", place / "ca.crt"
    begun = before.exists()
    if begun and before.read_bytes() != own.read_bytes():
        raise DataError(
            f"{before}: the authority before this one is still good: --renew server, copy every "
            "ca.crt to its machine, then --retire authority"
        )
    if not begun:
        authority_in(folder)
    names = (("key", f"{BEFORE}.key"), ("crt", f"{BEFORE}.crt"))
    old = {} if begun else {new: (place / f"ca.{ending}").read_bytes() for ending, new in names}
    made = new_authority()
    trusted = made["ca.crt"] + own.read_bytes()
    return {
        **{f"authority/{name}": content for name, content in old.items()},
        **{f"{machine}/ca.crt": trusted for machine in _machines(folder)},
        "authority/ca.key": made["ca.key"],
        "authority/ca.crt": made["ca.crt"],
    }


def _one_authority(folder: Path) -> list[Path]:
    before = [folder / "authority" / f"{BEFORE}.{ending}" for ending in ("crt", "key")]
    if not before[0].exists():
        raise DataError(f"{before[0]}: there is one authority alone: there is nothing to retire")
    _, signer = authority_in(folder)
    try:
        _certificate(folder).verify_directly_issued_by(signer)
    except Exception as error:  # whatever kind of signature the other's is
        raise DataError(
            f"{folder / 'server' / 'superlink.crt'}: it is of the authority that would go: "
            "--renew server first, and start the server's processes again"
        ) from error
    own = (folder / "authority" / "ca.crt").read_bytes()
    written = _written(folder, {f"{machine}/ca.crt": own for machine in _machines(folder)})
    for path in before:
        path.unlink(missing_ok=True)
    return written


def _machines(folder: Path) -> list[str]:
    """The folders that have a `ca.crt`: of sites that were carried away, none."""
    return [n for n in (SERVER, *sites_in(folder)) if (folder / n).is_dir()]


def _certificate(folder: Path) -> x509.Certificate:
    path = folder / "server" / "superlink.crt"
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected the server's certificate, or --host for one") from error


def _written(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files in their order, each whole or not at all.

    Raises:
        DataError: one cannot be written; those before it are, and the same again makes all.
    """
    paths = [folder / name for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        try:
            write_atomic(path, content)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written ({error.strerror}): is the disk full? Do it again"
            ) from error
    return paths
