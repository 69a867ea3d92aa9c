"""What a request is answered with that cannot be served: a status, one line, a word for metrics."""

from __future__ import annotations

from collections.abc import Mapping

BUSY_SECONDS = 1  # after which a request that found the queue full may come again


class RefusedError(Exception):
    """A request that is not served. `kind` is the word that it is counted under."""

    def __init__(
        self, status: int, line: str, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(line)
        self.status, self.line, self.kind = status, line, kind
        self.headers = dict(headers or {})


def busy(line: str, kind: str = "queue", seconds: int = BUSY_SECONDS) -> RefusedError:
    """503, with the seconds after which it may be tried again."""
    return RefusedError(503, line, kind, {"Retry-After": f"{seconds}"})


def bad(line: str, kind: str = "value") -> RefusedError:
    """400: a value or a picture that cannot be used."""
    return RefusedError(400, line, kind)


def unknown(line: str) -> RefusedError:
    """404."""
    return RefusedError(404, line, "unknown")
