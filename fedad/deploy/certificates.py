"""Who may talk to whom: an authority, the server's certificate, and one key for each site.

    authority/ca.crt ca.key                                  keep ca.key off the network
    server/ca.crt superlink.crt superlink.key superexec.secret sites/<site>.pub <site>.known
    <site>/ca.crt node.key node.pub superexec.secret         one folder a plant, for that plant only

The SuperLink shows its certificate and sites know it by the authority's; a site shows that it is
itself by signing with its own key (EC P-384, OpenSSH's format), which the SuperLink must have been
told of. Its `.known` is the same for the proxy, which lets known keys pass where strangers crowd.
A secret keeps other users of a machine from posing as its SuperExec.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedad.errors import ConfigError, DataError
from fedad.plumbing.alike import like
from fedad.plumbing.files import FILE_MODE, private_folder

SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?{_LABEL}(\.{_LABEL})*")
RESERVED = ("authority", "server")
AUTHORITY_DAYS = 3650
ALWAYS = ("superlink", "localhost", "127.0.0.1")  # how the server's own machine calls it
RENEWAL_KEEPS = ("server/ca.crt", "server/superexec.secret")
SKEW = timedelta(minutes=5)  # a certificate is valid from a little before it was made


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
    new = {} if (folder / "authority").exists() else _authority()
    key, certificate = _loaded(folder) if not new else _parsed(new)
    files = {f"authority/{name}": content for name, content in new.items()}
    root = certificate.public_bytes(serialization.Encoding.PEM)
    if hosts:
        made = _prefixed("server", {"ca.crt": root, **_server(key, certificate, hosts, days)})
        there = {name for name in RENEWAL_KEEPS if (folder / name).exists()}
        files |= {name: content for name, content in made.items() if name not in there}
    for site in sites:
        kit = _site(site)
        files |= _prefixed(site, {"ca.crt": root, **kit})
        files[f"server/sites/{site}.pub"] = kit["node.pub"]
        files[f"server/sites/{site}.known"] = _known(kit["node.pub"], site)
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


def _check(folder: Path, hosts: Sequence[str], sites: Sequence[str], days: int) -> None:
    for host in hosts:
        if not (_is_address(host) or HOST_NAME.fullmatch(host)):
            raise ConfigError(
                f"--host {host!r}: expected a name such as fedad.example, or an address such as "
                "10.0.0.5, without a port: sites would not know the server by its certificate"
            )
    if days > AUTHORITY_DAYS:
        raise ConfigError(f"--days {days}: expected at most {AUTHORITY_DAYS}, as the authority has")
    for site in sites:
        if not SITE_NAME.fullmatch(site) or site in RESERVED:
            raise ConfigError(
                f"site {site!r}: expected up to 32 letters, digits, - and _, and not "
                f"{' or '.join(RESERVED)}: it is the name of a folder"
            )
    there = [*RESERVED, *(path.stem for path in sorted((folder / "server/sites").glob("*.pub")))]
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


def _authority() -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedad authority")])
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    return {
        "ca.crt": certificate.public_bytes(serialization.Encoding.PEM),
        "ca.key": _private(key, serialization.PrivateFormat.PKCS8),
    }


def _server(
    key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, hosts: Sequence[str], days: int
) -> dict[str, bytes]:
    own = ec.generate_private_key(ec.SECP256R1())  # a stranger's handshake costs one signature
    names = dict.fromkeys((*hosts, *ALWAYS))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    certificate = (
        _builder(name, authority.subject, own.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_name, names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA384())
    )
    return {
        "superlink.crt": certificate.public_bytes(serialization.Encoding.PEM),
        "superlink.key": _private(own, serialization.PrivateFormat.PKCS8),
        "superexec.secret": secrets.token_bytes(32),
    }


def _site(name: str) -> dict[str, bytes]:
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return {
        "node.key": _private(key, serialization.PrivateFormat.OpenSSH),
        "node.pub": public + f" {name}\n".encode(),
        "superexec.secret": secrets.token_bytes(32),
    }


def _known(public: bytes, site: str) -> bytes:
    """A line of nginx's: the key as Flower's SuperNode sends it, and whose it is."""
    pem = serialization.load_ssh_public_key(public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f'"{b64encode(pem).decode()}" {site};\n'.encode()


def _known_before(folder: Path) -> dict[str, bytes]:
    """The lines of sites whose keys an older version has made, which are not there yet."""
    found = {}
    for path in (folder / "server" / "sites").glob("*.pub"):
        if SITE_NAME.fullmatch(path.stem) and not path.with_suffix(".known").exists():
            try:
                found[f"server/sites/{path.stem}.known"] = _known(path.read_bytes(), path.stem)
            except (OSError, ValueError, UnsupportedAlgorithm) as error:
                raise DataError(f"{path}: expected a site's public key ({error})") from error
    return found


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + timedelta(days=days)) - SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    parts = "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
    parts += "key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{part: allowed.get(part, False) for part in parts.split()})


def _name(host: str) -> x509.GeneralName:
    if _is_address(host):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _private(key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _loaded(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    try:
        return _parsed({n: (folder / "authority" / n).read_bytes() for n in ("ca.crt", "ca.key")})
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{folder / 'authority'}: expected ca.crt and ca.key of the authority that made this "
            f"federation's keys ({error}): is ca.key kept elsewhere?"
        ) from error


def _parsed(files: Mapping[str, bytes]) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = serialization.load_pem_private_key(files["ca.key"], password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    return key, x509.load_pem_x509_certificate(files["ca.crt"])


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
            "another key until that is registered; to renew the server's certificate, remove "
            "superlink.crt and superlink.key"
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
