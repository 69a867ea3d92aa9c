"""Who exported a model: a signature by a site's own key, the one that it comes to the server by.

ECDSA over P-384 and SHA-384, of a text that begins with words of its own, so that nothing that the
key signs elsewhere can pass for it.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedad.errors import DataError
from fedad.plumbing.files import is_site_name
from fedad.plumbing.parse import from_json

SIGNATURE = "signature.json"
LONGEST_SIGNATURE = 2**12  # bytes of the file
WORDS = b"fedad model export 1\n"  # what is signed begins with
LAW = ec.ECDSA(hashes.SHA384())


class Signed(NamedTuple):
    """Whose key signed: the name that it gives itself, and the key, which alone is proof."""

    site: str
    key: bytes  # OpenSSH's form, without a comment

    @property
    def mark(self) -> str:
        """The key's fingerprint, as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(b64decode(self.key.split()[1])).digest()
        return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True)
class Signer:
    """A site's private key, and its name."""

    site: str
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def at(cls, keys: Path) -> Signer:
        """Of a site's folder of keys.

        Raises:
            DataError: there is no such key, or no name beside it.
        """
        path = keys / "node.key"
        try:
            key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
            site = (keys / "node.pub").read_text("utf-8").split()[2]
        except (OSError, ValueError, TypeError, IndexError, UnsupportedAlgorithm) as error:
            raise DataError(
                f"{path}: expected a site's private key, and node.pub with its name beside it, as "
                "fedad certs makes them"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise DataError(f"{path}: expected a key of the kind that fedad certs makes")
        return cls(site, key)

    def sign(self, text: bytes) -> bytes:
        """The file that says who signed a text."""
        told = {
            "site": self.site,
            "key": _public(self.key.public_key()).decode(),
            "signature": b64encode(self.key.sign(WORDS + text, LAW)).decode(),
        }
        return json.dumps(told, sort_keys=True).encode()


def verify(text: bytes, told: bytes) -> Signed:
    """Who signed a text.

    Raises:
        ValueError: nobody did, or the text is another.
    """
    said: Any = from_json(told)
    try:
        site, key = str(said["site"]), _loaded(str(said["key"]).encode())
        key.verify(b64decode(str(said["signature"]), validate=True), WORDS + text, LAW)
    except InvalidSignature as error:
        raise ValueError("its signature is not of this content") from error
    except (KeyError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{SIGNATURE} is none") from error
    if not is_site_name(site):
        raise ValueError(f"{SIGNATURE} names {site!a:.80}")
    return Signed(site, _public(key))


def check_signer(signed: Signed | None, expected: Path) -> None:
    """Refuse a model that another than the owner of the public key in `expected` signed.

    Raises:
        DataError: naming who did.
    """
    try:
        key = _public(_loaded(expected.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise DataError(f"{expected}: expected a site's public key, such as lyon.pub") from error
    if signed is None:
        raise DataError(f"it is not signed, and --signer {expected} asks for that key's signature")
    if signed.key != key:
        raise DataError(
            f"it is signed by {signed.site!a}, {signed.mark}, and --signer {expected} is another "
            "key"
        )


def _loaded(text: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_ssh_public_key(text)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("expected a key of the kind that fedad certs makes")
    return key


def _public(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
