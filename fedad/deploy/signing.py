"""Keys and certificates as bytes: nothing here reads or writes a file.

The SuperLink shows its certificate and sites know it by the authority's; a site shows that it is
itself by signing with its own key (EC P-384, OpenSSH's format).
"""

from __future__ import annotations

import ipaddress
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
ALWAYS = ("superlink", "localhost", "127.0.0.1")  # how the server's own machine calls it
SKEW = timedelta(minutes=5)  # a certificate is valid from a little before it was made


def new_authority() -> dict[str, bytes]:
    """A new authority: `ca.crt` and `ca.key`."""
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


def server_kit(
    key: ec.EllipticCurvePrivateKey, signer: x509.Certificate, hosts: Sequence[str], days: int
) -> dict[str, bytes]:
    """The server's files, but for the authority's certificate.

    Args:
        key, signer: the authority's.
        hosts: the names and addresses of the server, at least one.
        days: from now on.
    """
    own = ec.generate_private_key(ec.SECP256R1())  # a stranger's handshake costs one signature
    names = dict.fromkeys((*hosts, *ALWAYS))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    certificate = (
        _builder(name, signer.subject, own.public_key(), days)
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


def site_kit(name: str) -> dict[str, bytes]:
    """A site's own files, but for the authority's certificate."""
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return {
        "node.key": _private(key, serialization.PrivateFormat.OpenSSH),
        "node.pub": public + f" {name}\n".encode(),
        "superexec.secret": secrets.token_bytes(32),
    }


def known_line(public: bytes, site: str) -> bytes:
    """A line of nginx's: the key as Flower's SuperNode sends it, and whose it is."""
    pem = serialization.load_ssh_public_key(public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f'"{b64encode(pem).decode()}" {site};\n'.encode()


def parsed(files: Mapping[str, bytes]) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The key and the certificate of an authority.

    Raises:
        ValueError, TypeError: they are none, or not of one pair.
    """
    key = serialization.load_pem_private_key(files["ca.key"], password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    certificate = x509.load_pem_x509_certificate(files["ca.crt"])
    if certificate.public_key() != key.public_key():
        raise ValueError("ca.key is not the key of ca.crt")
    return key, certificate


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
    if is_address(host):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def is_address(host: str) -> bool:
    """Whether a host is written as a number."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _private(key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate is for, in their order."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(one.value) for one in names]
