"""Messages out, replies in: every site has its own puller and its own deadline.

Flower's `send_and_receive` waits for all sites in one call, so that one stuck upload delays
everybody; here it delays nobody else. Flower delivers a message at most once: what a crash took
with it is asked for again, and a site that has answered before gives the same bytes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from logging import WARNING
from typing import NamedTuple

from flwr.app import Message
from flwr.serverapp import Grid
from flwr.supercore import log

from fedad.plumbing.shown import for_log
from server_app.quarantine import printable

# Flower's error codes of what passes: a message or its reply was lost, the SuperNode is gone, the
# ClientApp's process ended. All others come from the app, which would answer the same again.
GONE = {3: "its reply was lost", 4: "its reply was lost", 5: "its SuperNode is gone"}
CRASHED = {8: "its ClientApp's process ended"}
TRIES = 3  # how often a site is asked whose ClientApp ends before it answers
# How often a SuperLink is asked for replies, all sites together: it takes 10 ms of a processor for
# each question, and has one processor for all that its sites ask besides (`docs/scale.md`).
ASKED_A_SECOND = 10.0
LOOKS = 20  # but each site's reply is looked for at least so often in the time that it has


class Reply(NamedTuple):
    """What one node answered: its message, or why there is none."""

    node: int
    message: Message | None
    reason: str = ""
    code: int = 0  # Flower's, of what passes


def exchange(
    grid: Grid,
    messages: Sequence[Message],
    *,
    seconds: float,
    rejoin: float = 0.0,
    names: Mapping[int, str] | None = None,
) -> Iterator[Reply]:
    """Push `messages`, and yield each reply when it comes, within `seconds`.

    A node that fails or stays silent has a reason in place of a message. One that is gone
    is asked again if it comes back within `rejoin` seconds. `names` are for the log.
    """
    listed = list(messages)  # Flower iterates twice: a generator would push nothing
    ids = list(grid.push_messages(listed)) if listed else []
    until = time.monotonic() + seconds
    answers: queue.Queue[Reply] = queue.Queue()
    waiting = {message.metadata.dst_node_id for message in listed}
    pause = min(0.05 + len(listed) / ASKED_A_SECOND, seconds / LOOKS)
    for number, (message, message_id) in enumerate(zip(listed, ids, strict=True), start=1):
        talk = _Talk(grid, message, message_id, until=until, rejoin=rejoin, pause=pause)
        talk.next = pause * number / len(listed)
        talk.name = (names or {}).get(talk.node, f"node {talk.node}")
        threading.Thread(target=lambda t=talk: answers.put(t.reply()), daemon=True).start()
    while waiting:
        try:
            reply = answers.get(timeout=max(0.01, until + 1 - time.monotonic()))
        except queue.Empty:
            break  # what is left is stuck in the transport
        waiting.discard(reply.node)
        yield reply
    for node in sorted(waiting):
        yield Reply(node, None, f"no answer in {seconds:.0f} s")


class _Talk:
    """One node's side of an exchange."""

    def __init__(
        self,
        grid: Grid,
        message: Message,
        message_id: str | None,
        *,
        until: float,
        rejoin: float,
        pause: float,
    ) -> None:
        self.grid, self.message, self.ids = grid, message, [message_id] if message_id else []
        self.node, self.name = message.metadata.dst_node_id, ""
        self.until, self.rejoin, self.pause = until, rejoin, pause
        self.next = pause  # seconds to the next question, so that not all sites ask at once
        self.half = (time.monotonic() + until) / 2

    def reply(self) -> Reply:
        """The node's answer; what passes is waited out, as far as time allows."""
        try:
            reply, crashes = self._pull(), 0
            while reply.code:
                crashes += reply.code in CRASHED
                log(WARNING, "%s: %s", for_log(self.name), for_log(reply.reason))
                if crashes >= TRIES or not self._is_back():
                    break
                self.ids = []
                self._ask_again()
                reply = self._pull()
            return reply
        except Exception as error:  # of the transport: the site counts as silent
            return Reply(self.node, None, for_log(f"its reply could not be fetched ({error})"))

    def _pull(self) -> Reply:
        """Ask for the reply until it is there or time is up.

        Halfway the node is asked once more, in case the message was lost without a word.
        """
        if not self.ids:
            return Reply(self.node, None, "the message could not be sent")
        while time.monotonic() < self.until:
            if pulled := list(self.grid.pull_messages(self.ids)):
                return _read(self.node, min(pulled, key=Message.has_error))
            if time.monotonic() > self.half:
                self.half = self.until
                self._ask_again()
            self._wait()
        return Reply(self.node, None, "no answer in time")

    def _wait(self) -> None:
        time.sleep(max(0.0, min(self.next, self.until - time.monotonic())))
        self.next = self.pause

    def _is_back(self) -> bool:
        """Wait for the node to be online."""
        until = min(self.until, time.monotonic() + self.rejoin)
        while time.monotonic() < until:
            if self.node in self.grid.get_node_ids():
                return True
            time.sleep(self.pause)
        return False

    def _ask_again(self) -> None:
        old = self.message.metadata
        again = Message(
            self.message.content,
            self.node,
            old.message_type,
            ttl=max(1.0, self.until - time.monotonic()) + 60,
            group_id=old.group_id,
        )
        self.ids += [one for one in self.grid.push_messages([again]) if one]


def _read(node: int, message: Message) -> Reply:
    if message.has_error():
        code, passing = message.error.code, {**GONE, **CRASHED}
        told = passing.get(code, printable(message.error.reason))
        return Reply(
            node, None, f"Flower error {code}: {told}", code=code if code in passing else 0
        )
    return Reply(node, message)
