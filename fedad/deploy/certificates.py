"""Who may talk to whom: an authority, the server's certificate, and one key for each site.

    authority/ca.crt ca.key                                  keep ca.key off the network
    authority/before.crt before.key                          the one before it, until it is retired
    server/ca.crt superlink.crt superlink.key superexec.secret sites/<site>.pub <site>.known
    <site>/ca.crt node.key node.pub superexec.secret         one folder a plant, for that plant only

The SuperLink shows its certificate and sites know it by the authority's; a site shows that it is
itself by signing with its own key (EC P-384, OpenSSH's format), which the SuperLink must have been
told of. Its `.known` is the same for the proxy, which lets known keys pass where strangers crowd.
A secret keeps other users of a machine from posing as its SuperExec.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedad.deploy.signing import (
    AUTHORITY_DAYS,
    is_address,
    known_line,
    new_authority,
    parsed,
    server_kit,
    site_kit,
)
from fedad.errors import ConfigError, DataError
from fedad.plumbing.alike import like
from fedad.plumbing.files import FILE_MODE, private_folder

SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?{_LABEL}(\.{_LABEL})*")
RESERVED = ("authority", "server")
BEFORE = "before"  # what an authority's files are called once another took its place
RENEWAL_KEEPS = ("server/ca.crt", "server/superexec.secret")


def make_keys(folder: Path, *, hosts: Sequence[str], sites: Sequence[str], days: int) -> list[Path]:
    """All keys of a federation, or those of more sites for one that has an authority already.

    Args:
        hosts: the names and addresses by which sites and the server itself reach the SuperLink;
            empty makes no server certificate.
        days: how long the server's certificate is valid.

    Returns:
        what was written, for its owner alone: certificates and public keys too.

    Raises:
        ConfigError: a site's name that cannot be a folder, a host that no site could look up, more
            days than the authority has, or the first call without hosts.
        DataError: a file that is there already, which is left as it is, an unreadable authority, or
            a file that cannot be written: then none is.
    """
    _check(folder, hosts, sites, days)
    new = {} if (folder / "authority").exists() else new_authority()
    key, certificate = authority_in(folder) if not new else parsed(new)
    files = {f"authority/{name}": content for name, content in new.items()}
    root = trusted_in(folder) if not new else new["ca.crt"]
    if hosts:
        check_days(days, certificate)
        made = _prefixed("server", {"ca.crt": root, **server_kit(key, certificate, hosts, days)})
        there = {name for name in RENEWAL_KEEPS if (folder / name).exists()}
        files |= {name: content for name, content in made.items() if name not in there}
    for site in sites:
        kit = site_kit(site)
        files |= _prefixed(site, {"ca.crt": root, **kit})
        files[f"server/sites/{site}.pub"] = kit["node.pub"]
        files[f"server/sites/{site}.known"] = known_line(kit["node.pub"], site)
    files |= _known_before(folder)
    return _write_all(folder, files)


def public_of(path: Path) -> bytes:
    """The public half of a site's private key, as its `.pub` file has it.

    Raises:
        DataError: no such file, or no key.
    """
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected a private key as fedad certs makes it") from error
    return key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )


def same_key(pem: bytes, path: Path) -> bool:
    """Whether a public key is the one of a `.pub` file; not where either is none."""
    try:
        mine = serialization.load_ssh_public_key(path.read_bytes())
        return mine == serialization.load_pem_public_key(pem)
    except (OSError, ValueError, UnsupportedAlgorithm):
        return False


def trusted_in(folder: Path) -> bytes:
    """The certificates that everybody of the federation is to know: the authority's, and until it
    is retired that of the one before it."""
    before = folder / "authority" / f"{BEFORE}.crt"
    own = (folder / "authority" / "ca.crt").read_bytes()
    return own + before.read_bytes() if before.exists() else own


def sites_in(folder: Path) -> list[str]:
    """The sites that have keys, by name."""
    return sorted(path.stem for path in (folder / "server" / "sites").glob("*.pub"))


def check_hosts(hosts: Sequence[str]) -> None:
    """Refuse what sites could not look up.

    Raises:
        ConfigError: naming it.
    """
    for host in hosts:
        if not (is_address(host) or HOST_NAME.fullmatch(host)):
            raise ConfigError(
                f"--host {host!r}: expected a name such as fedad.example, or an address such as "
                "10.0.0.5, without a port: sites would not know the server by its certificate"
            )


def check_days(days: int, signer: x509.Certificate) -> None:
    """Refuse a certificate that would outlive its authority.

    Raises:
        ConfigError: naming the day on which that ends.
    """
    end = signer.not_valid_after_utc
    if days > (end - datetime.now(UTC)).days + 1:
        raise ConfigError(
            f"--days {days}: the authority is valid until {end:%Y-%m-%d}: ask for fewer days, or "
            "take another authority first: fedad certs DIR --renew authority"
        )


def _check(folder: Path, hosts: Sequence[str], sites: Sequence[str], days: int) -> None:
    check_hosts(hosts)
    if days > AUTHORITY_DAYS:
        raise ConfigError(f"--days {days}: expected at most {AUTHORITY_DAYS}, as the authority has")
    for site in sites:
        if not SITE_NAME.fullmatch(site) or site in RESERVED:
            raise ConfigError(
                f"site {site!r}: expected up to 32 letters, digits, - and _, and not "
                f"{' or '.join(RESERVED)}: it is the name of a folder"
            )
    there = [*RESERVED, *sites_in(folder)]
    for place, site in enumerate(sites):
        if twin := like(site, [*there, *sites[:place]]):
            raise ConfigError(
                f"--site {site!r} could be taken for {twin!r}, which has keys or gets some: they "
                "differ by case or letters that look alike: give one of them another name"
            )
    if (folder / "authority").exists():
        return
    if (folder / "server").exists():
        raise DataError(
            f"{folder / 'authority'}: is not there, and {folder / 'server'} is: bring back the "
            "authority that made it, since sites would not know another"
        )
    if not hosts:
        raise ConfigError(
            "--host is missing: expected the names and addresses by which sites reach the server, "
            "such as --host fedad.example --host 10.0.0.5"
        )


def _known_before(folder: Path) -> dict[str, bytes]:
    """The lines of sites whose keys an older version has made, which are not there yet."""
    found = {}
    for path in (folder / "server" / "sites").glob("*.pub"):
        if SITE_NAME.fullmatch(path.stem) and not path.with_suffix(".known").exists():
            try:
                found[f"server/sites/{path.stem}.known"] = known_line(path.read_bytes(), path.stem)
            except (OSError, ValueError, UnsupportedAlgorithm) as error:
                raise DataError(f"{path}: expected a site's public key ({error})") from error
    return found


def authority_in(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The authority that signs.

    Raises:
        DataError: it is not there, or is none.
    """
    try:
        return parsed({n: (folder / "authority" / n).read_bytes() for n in ("ca.crt", "ca.key")})
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{folder / 'authority'}: expected ca.crt and ca.key of the authority that made this "
            f"federation's keys ({error}): is ca.key kept elsewhere?"
        ) from error


def _prefixed(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def _write_all(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write all or nothing.

    Raises:
        DataError: a file that is there already, or one that cannot be written.
    """
    for there in _existing(folder, files):
        raise DataError(
            f"{there}: is there already: remove it first if it shall go. A site is shut out by "
            "another key until that is registered; --renew SITE and --renew server make others "
            "without that"
        )
    paths, written = [folder / name for name in files], list[Path]()
    new = {above for path in paths for above in path.parents if not above.exists()}
    try:
        for path, content in zip(paths, files.values(), strict=True):
            _write_new(path, content, written)
    except BaseException as error:
        _take_back(written, new)
        if isinstance(error, OSError):
            raise DataError(
                f"{path}: cannot be written ({error.strerror}), and nothing was: is the disk full?"
            ) from error
        raise
    return paths


def _write_new(path: Path, content: bytes, written: list[Path]) -> None:
    """Write a file that is not there; it is among the `written` from when it is."""
    private_folder(path.parent)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    written.append(path)
    with os.fdopen(file, "wb") as stream:
        stream.write(content)


def _take_back(written: Iterable[Path], folders: Iterable[Path]) -> None:
    """Remove files, and then the folders that are empty, the deepest first."""
    for path in written:
        path.unlink(missing_ok=True)
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):
            folder.rmdir()


def _existing(folder: Path, names: Iterable[str]) -> list[Path]:
    return [folder / name for name in names if (folder / name).exists()]
