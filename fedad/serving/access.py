"""Who may ask: a token, the name that the server is called by, and the page that a write is from.

A page of another site that a browser shows may send requests to this machine, and by a name that
leads here (DNS rebinding) read the answers. The name in `Host` has to be one of the server's own,
and a write that says where it comes from has to come from the server's own page.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from fedad.errors import ConfigError
from fedad.plumbing.files import OTHERS, write_atomic
from fedad.serving.refusals import RefusedError

OPEN = ("/", "/health")  # and all below PAGE: they tell nothing of a model or a picture
PAGE = "/page/"
READING = ("GET", "HEAD", "OPTIONS")
SHORTEST = 16  # characters of a token
LONGEST = 4096  # bytes of a token's file
SCHEME = "bearer "


@dataclass(frozen=True)
class Access:
    """What a request is held against.

    Args:
        token: empty: nobody is asked for one.
        names: host names that the server may be called by, `*.` in front for all below; addresses
            need none.
        loopback: whether it is bound to this machine alone: then of addresses only its own.
    """

    token: str = ""
    names: tuple[str, ...] = ()
    loopback: bool = True

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Let a request pass.

        Args:
            headers: by their names in small letters.

        Raises:
            RefusedError: 403 by its Host or Origin, 401 without the token.
        """
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise RefusedError(403, f"Host {host!a:.80}: this server is not called so", "host")
        if method not in READING and not _is_own_page(host, headers):
            origin = headers.get("origin", "another site")
            raise RefusedError(403, f"Origin {origin!a:.80}: no page of this server", "origin")
        if self.token and path not in OPEN and not path.startswith(PAGE):
            self._check_token(headers.get("authorization", ""))

    def _check_token(self, said: str) -> None:
        given = said[len(SCHEME) :].strip() if said.lower().startswith(SCHEME) else ""
        digests = [sha256(one.encode(errors="replace")).digest() for one in (given, self.token)]
        if not hmac.compare_digest(*digests):
            line = "expected Authorization: Bearer TOKEN, as the server's token file has it"
            raise RefusedError(401, line, "token", {"WWW-Authenticate": "Bearer"})

    def _is_ours(self, host: str) -> bool:
        name = bare(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or any(_matches(name, known) for known in self.names)
        return address.is_loopback if self.loopback else True


def bare(host: str) -> str:
    """The name or address in a Host header, without its port, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a server that is bound to `host` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def token_at(path: Path) -> tuple[str, bool]:
    """The token in a file, and whether it was made now: a random one, where no file is there.

    Raises:
        ConfigError: others may read it, or it holds no token of `SHORTEST` characters or more.
    """
    if not path.exists():
        token = secrets.token_urlsafe(32)
        write_atomic(path, f"{token}\n")
        return token, True
    if path.is_file() and path.stat().st_mode & OTHERS:
        raise ConfigError(f"{path}: other users may read the token: chmod 600 {path}")
    try:
        with path.open(encoding="utf-8") as file:
            token = file.read(LONGEST).strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected a file with a token in it ({error})") from error
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{path}: expected a token of {SHORTEST} letters and digits or more: remove the file, "
            "and a random one is made"
        )
    return token, False


def _is_own_page(host: str, headers: Mapping[str, str]) -> bool:
    """Whether a write comes from a page of this server, or from no page at all."""
    if (origin := headers.get("origin")) is not None:
        return origin.partition("://")[2].lower() == host.lower()
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def _matches(name: str, known: str) -> bool:
    known = known.lower().rstrip(".")
    if known.startswith("*."):
        return name.endswith(known[1:]) and "." not in name[: -len(known[1:])]
    return name == known


def names_of(*lists: Iterable[str]) -> tuple[str, ...]:
    """Host names of several lists, each once; addresses are left out, which need none."""
    return tuple(dict.fromkeys(name for some in lists for name in some if name))
