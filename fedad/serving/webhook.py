"""Verdicts POSTed as JSON to an address. No pixel is in them."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from fedad.errors import ConfigError
from fedad.serving.outbox import Send, UndeliveredError

SECONDS = 5.0  # for an answer
LATER = (408, 425, 429)  # of the answers below 500, those that a later try may not get


def webhook(url: str) -> Send:
    """What POSTs a message to `url`.

    Raises:
        ConfigError: no address of that kind.
    """
    import httpx

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"--webhook {url}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError(
            f"--webhook {url}: expected an address such as https://mes.plant/verdicts"
        )
    client = httpx.Client(timeout=SECONDS, follow_redirects=False)

    def send(message: bytes) -> None:
        try:
            answer = client.post(url, content=message, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise UndeliveredError(f"{type(error).__name__} ({error})") from error
        if not answer.is_success:
            again = answer.status_code >= 500 or answer.status_code in LATER
            raise UndeliveredError(f"it answered {answer.status_code}", again=again)

    return send


def without_password(url: str) -> str:
    """An address as it may be printed: without a name, a password and what follows a `?`."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return "the address"
