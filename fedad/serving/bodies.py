"""The body of a request -> pictures to judge, or values; of bounded size, and in bounded time."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from fedad.plumbing.parse import from_json
from fedad.plumbing.shown import for_terminal
from fedad.serving.refusals import RefusedError, bad, busy
from fedad.serving.served import Upload

MOST_BYTES = 64 * 2**20  # of one request
MOST_HELD = 256 * 2**20  # of all requests that are not answered yet
MOST_DRAINED = 2**30  # of a request that is refused: read, and not kept
MOST_PICTURES = 16  # of one request
LONGEST_NAME = 200  # characters that are kept of what a picture is called
SECONDS = 30.0  # without a byte of a body
BODY = "http.request"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Held:
    """How many bytes of bodies are in memory, and what hands them out."""

    def __init__(self, most: int = MOST_BYTES, together: int = MOST_HELD) -> None:
        self.most, self.together, self.bytes = most, together, 0

    def bounded(self, receive: Receive, length: str | None) -> Body:
        """A request's body, of which no more than may be is read.

        Args:
            length: as the request says.

        Raises:
            RefusedError: 413, it says that it is longer.
        """
        if length is not None and length.isdecimal() and int(length) > self.most:
            # Of a body that has an end it can be awaited, so that the client reads the answer.
            raise self.too_large(closing=int(length) > MOST_DRAINED)
        return Body(self, receive)

    def too_large(self, *, closing: bool = True) -> RefusedError:
        """What is answered to a body that is larger than it may be."""
        line = f"expected a body of at most {self.most // 2**20} MiB"
        return RefusedError(413, line, "size", {"Connection": "close"} if closing else {})


class Body:
    """The body of one request while it comes; `release` once it is answered."""

    def __init__(self, held: Held, receive: Receive) -> None:
        self.held, self._receive, self.bytes = held, receive, 0
        self._whole = False

    async def receive(self) -> Message:
        """The next message of the request.

        Raises:
            RefusedError: 413, the body is larger than it may be; 408, nothing comes; 503, too many
                others are in memory.
        """
        if self._whole:  # what comes now is that the client has gone
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), SECONDS)
        except TimeoutError:
            line = f"no byte of the body came for {SECONDS:g} s"
            raise RefusedError(408, line, "slow", {"Connection": "close"}) from None
        if message["type"] == BODY:
            self._count(len(message.get("body", b"")))
            self._whole = not message.get("more_body", False)
        return message

    def release(self) -> None:
        """It is not in memory any more."""
        self.held.bytes -= self.bytes
        self.bytes = 0

    def _count(self, size: int) -> None:
        self.bytes += size
        self.held.bytes += size
        if self.bytes > self.held.most:
            raise self.held.too_large()
        if self.held.bytes > self.held.together:
            refused = busy("too many large pictures at once: try again", "queue")
            refused.headers["Connection"] = "close"
            raise refused


def as_name(text: str) -> str:
    """What a picture is called, without the folders that a browser may send with it."""
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2][:LONGEST_NAME]
    return for_terminal(last) or "picture"


def json_of(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one where there is no body.

    Raises:
        RefusedError: it holds something else.
    """
    if not body:
        return {}
    try:
        found = from_json(body)
    except ValueError as error:
        raise bad(f"the body is no JSON that is read here ({error})") from error
    if not isinstance(found, dict):
        raise bad("the body: expected a JSON object")
    return found


def text_of(values: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    """A text among values; empty where it is not there.

    Raises:
        RefusedError: it is something else, or is needed and not there.
    """
    value = values.get(name, "")
    if not isinstance(value, str) or (needed and not value):
        raise bad(f"{name} = {value!a:.80}: expected a text")
    return value


def rate_of(values: Mapping[str, Any]) -> float:
    """The wished share of good parts stopped.

    Raises:
        RefusedError: it is no number between 0 and 1.
    """
    value = values.get("rate")
    try:
        rate = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        rate = 0.0
    if isinstance(value, bool) or not 0 < rate < 1:
        raise bad(f"rate = {value!a:.80}: expected the wished share of good parts stopped, as 0.1")
    return rate


def instances(body: bytes) -> list[Upload]:
    """The pictures of a request of KServe's first protocol.

    Raises:
        RefusedError: it is none, or of more pictures than `MOST_PICTURES`.
    """
    listed = json_of(body).get("instances")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_PICTURES:
        raise bad(f"instances: expected a list of 1 to {MOST_PICTURES} pictures")
    return [_instance(one, number) for number, one in enumerate(listed)]


def _instance(one: Any, number: int) -> Upload:
    try:
        content = b64decode(one["image"]["b64"], validate=True)
    except (TypeError, KeyError, AttributeError, ValueError, binascii.Error) as error:
        line = f"instances[{number}]: expected image.b64 with a picture's file in base64"
        raise bad(line) from error
    return Upload(content, text_of(one, "product"), as_name(text_of(one, "name")))
