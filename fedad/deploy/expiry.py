"""Until when certificates are valid, in days and by name: what preflight and status say of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from fedad.deploy.reach import SECONDS, Server, split_address
from fedad.errors import DataError, FedadError

MONTH = 30  # days before its end from which on a certificate is to be renewed
EXPIRED = 10  # OpenSSL's number of that refusal


class ExpiredError(FedadError):
    """A certificate is no longer valid; the message names the day."""


class Validity(NamedTuple):
    """Whose a certificate is, and its last moment, in UTC."""

    whose: str
    until: datetime

    def days(self, now: datetime | None = None) -> int:
        """Whole days that are left; negative from a day after it has expired."""
        return int((self.until - (now or datetime.now(UTC))) / timedelta(days=1))

    def has_expired(self, now: datetime | None = None) -> bool:
        return self.until <= (now or datetime.now(UTC))

    def told(self, now: datetime | None = None) -> str:
        """In words, with the day."""
        day, left = f"{self.until:%Y-%m-%d}", self.days(now)
        if self.has_expired(now):
            return f"{self.whose} expired on {day}, {_days(-left)} ago"
        hint = "WARNING: " if left < MONTH else ""
        return f"{hint}{self.whose} is valid until {day}, {_days(left)} more"


def _days(count: int) -> str:
    return f"{count} day{'s' * (count != 1)}"


def in_file(path: Path, whose: str) -> list[Validity]:
    """Of each certificate in a file, in their order: a bundle of authorities has two.

    Raises:
        DataError: no such file, or no certificate in it.
    """
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected certificates as fedad certs makes them") from error
    names = [whose, *(f"{whose} before it" for _ in found[1:])]
    return [Validity(name, one.not_valid_after_utc) for name, one in zip(names, found, strict=True)]


def checked(path: Path, whose: str) -> str:
    """In words, of a file in which at least one certificate has to be valid.

    Raises:
        DataError: all have expired, naming the day; or there is none.
    """
    found = in_file(path, whose)
    told = "; ".join(one.told() for one in found)
    if all(one.has_expired() for one in found):
        raise DataError(f"{path}: {told}")
    return told


def of_server(server: Server) -> Validity:
    """Of the certificate that a server shows, which the authority has signed for its name.

    Raises:
        ExpiredError: it is no longer valid, or its authority is not: the day is named.
        OSError: nobody is there, or it is another's or of another name.
    """
    try:
        return Validity("the server's certificate", server.valid_until())
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == EXPIRED:
            told = "; ".join(one.told() for one in _expired(server)) or str(error)
            raise ExpiredError(f"{server.address}: {told}") from error
        raise


def expired(server: Server) -> str:
    """What has expired of a server's certificate, with the day; empty where nothing has, or nobody
    is there to show one."""
    try:
        of_server(server)
    except ExpiredError as error:
        return str(error)
    except (FedadError, OSError):
        pass
    return ""


def _expired(server: Server) -> Iterator[Validity]:
    """What has expired of a server's certificate and its authorities; nothing of it is trusted."""
    pem = ssl.get_server_certificate(split_address(server.address), timeout=SECONDS)
    shown = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    found = [Validity("the server's certificate", shown), *in_file(server.ca, "the authority")]
    return (one for one in found if one.has_expired())
