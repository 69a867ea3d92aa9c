"""What a machine sees of the server: who it says it is, what time it has, and what it lets pass."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from fedad.errors import ConfigError, DataError

SECONDS = 5.0  # the longest that one question may take


def split_address(address: str) -> tuple[str, int]:
    """`"fedad.example:8443"` -> `("fedad.example", 8443)`.

    Raises:
        ConfigError: no port, or one that is none; no name that a host can have.
    """
    host, _, port = address.rpartition(":")
    try:
        host.encode("idna")  # as the socket will
    except UnicodeError:
        host = ""
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"{address!r}: expected HOST:PORT, such as fedad.example:8443")
    return host.strip("[]"), int(port)


@dataclass(frozen=True)
class Server:
    """A server at `address`, known by the authority's certificate `ca`."""

    address: str
    ca: Path

    def knock(self) -> None:
        """Open a connection, and no more.

        Raises:
            ConfigError: no address.
            DataError: nobody is there, or something between does not let it pass.
        """
        try:
            socket.create_connection(split_address(self.address), SECONDS).close()
        except OSError as error:
            raise DataError(f"{self.address}: {error.strerror or error}") from error

    def valid_until(self) -> datetime:
        """Until when its certificate is valid, which the authority has signed for this name.

        Raises:
            ssl.SSLError, OSError: it is another's, of another name, or no longer valid.
        """
        host, port = split_address(self.address)
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            self._trust().wrap_socket(plain, server_hostname=host) as line,
        ):
            end = str((line.getpeercert() or {})["notAfter"])
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(end)).astimezone()

    def answer(
        self, path: str, *, method: str = "GET", announced: int | None = None
    ) -> tuple[int, datetime | None]:
        """The status of an answer, and the server's time; of a body only its length is sent.

        Raises:
            OSError, http.client.HTTPException: there is none.
        """
        with closing(self._line()) as line:
            line.putrequest(method, path)
            if announced is not None:
                line.putheader("Content-Length", str(announced))
            line.endheaders()
            reply = line.getresponse()
            date = reply.getheader("Date")
            return reply.status, parsedate_to_datetime(date) if date else None

    def ask(self, path: str, *, kind: str) -> tuple[int, bytes]:
        """The status and the body of the answer to an empty question of a media type.

        Raises:
            OSError, http.client.HTTPException: there is none.
        """
        with closing(self._line()) as line:
            line.request("POST", path, b"", {"Content-Type": kind, "Accept": kind})
            reply = line.getresponse()
            return reply.status, reply.read()

    def _line(self) -> http.client.HTTPSConnection:
        host, port = split_address(self.address)
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=self._trust())

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))
