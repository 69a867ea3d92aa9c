"""In front of all routes: who may ask, how much a request may bring, and what an answer carries."""

from __future__ import annotations

import json
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fedad.plumbing.files import cache_root, write_atomic
from fedad.plumbing.shown import for_log
from fedad.serving.bodies import Message, Receive
from fedad.serving.metrics import ERRORS
from fedad.serving.refusals import RefusedError
from fedad.serving.state import Serving

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
FAILED = "fedad.failed"  # in a request's scope: what was said of an error of our own
HEADERS = {
    "server": "fedad",
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_ENCODED = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_NAMED = {name for name, _ in _ENCODED}


class Front:
    """What each request passes first, and each answer last."""

    def __init__(self, app: App, serving: Serving, note: Callable[[str], None]) -> None:
        self.app, self.serving, self.note = app, serving, note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; whatever goes wrong is one line."""
        if scope["type"] != "http":
            return
        answered = 0

        async def answering(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = message["status"]
                own = [pair for pair in message.get("headers", ()) if pair[0] not in _NAMED]
                message = {**message, "headers": [*own, *_ENCODED]}
            await send(message)

        body = None
        try:
            headers = _headers(scope)
            self.serving.access.check(scope["method"], scope["path"], headers)
            body = self.serving.held.bounded(receive, headers.get("content-length"))
            await self.app(scope, body.receive, answering)
        except RefusedError as error:
            self.say(scope, error)
            if not answered:
                await _answer(error, answering)
        except Exception as error:
            failed = scope.get(FAILED) or self.failed(scope, error)
            if not answered:
                await _answer(failed, answering)
        finally:
            if body is not None:
                body.release()

    def say(self, scope: Scope, error: RefusedError) -> None:
        """Count a refusal, and log it in a line."""
        self.serving.metrics.count(ERRORS, kind=error.kind)
        who = (scope.get("client") or ("?",))[0]
        what = f"{scope['method']} {scope['path']}"[:120]
        self.note(for_log(f"{who} {what} {error.status}: {error.line}"))

    def failed(self, scope: Scope, error: Exception) -> RefusedError:
        """What is said of an error of our own; what led to it goes into a file."""
        line = f"fedad itself failed ({type(error).__name__})"
        if isinstance(error, OSError) and error.filename:  # of the disk, not of ours
            line = f"{error.filename}: {error.strerror}: is the disk full, may it be written?"
        else:
            try:
                path = cache_root() / "crash.txt"
                write_atomic(path, "".join(traceback.format_exception(error)))
                line += f": please report {path}"
            except OSError:
                pass
        scope[FAILED] = refused = RefusedError(500, line, "internal")
        self.say(scope, refused)
        return refused


def _headers(scope: Scope) -> dict[str, str]:
    """The headers of a request by their names.

    Raises:
        RefusedError: one of those that decide stands twice.
    """
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found and key in ("host", "origin", "authorization", "content-length"):
            raise RefusedError(400, f"the header {key} stands twice", "value")
        found[key] = value.decode("latin-1")
    return found


async def _answer(error: RefusedError, send: Send) -> None:
    content = json.dumps({"error": error.line}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
