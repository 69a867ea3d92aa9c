"""Messages out, replies in: every site has its own puller and its own deadline.

Flower's `send_and_receive` waits for all sites in one call, so that one stuck upload delays
everybody; here it delays nobody else.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from flwr.app import Message
from flwr.serverapp import Grid

from fedad import wire


class Reply(NamedTuple):
    """What one node answered: its message, or why there is none."""

    node: int
    message: Message | None
    reason: str = ""


def exchange(grid: Grid, messages: Sequence[Message], *, seconds: float) -> list[Reply]:
    """Push `messages` and wait at most `seconds` for each reply; replies in order of nodes.

    A node that refuses, fails or stays silent has a reason in place of a message.
    """
    listed = list(messages)  # Flower iterates twice: a generator would push nothing
    ids = list(grid.push_messages(listed))
    answers: queue.Queue[Reply] = queue.Queue()
    until = time.monotonic() + seconds
    pause = min(2.0, 0.05 + 0.02 * len(listed))

    def pull(node: int, message_id: str) -> None:
        answers.put(_pull(grid, node, message_id, until, pause))

    waiting = {message.metadata.dst_node_id: i for message, i in zip(listed, ids, strict=True)}
    for pair in waiting.items():
        threading.Thread(target=pull, args=pair, daemon=True).start()
    replies: dict[int, Reply] = {}
    while len(replies) < len(waiting):
        try:
            reply = answers.get(timeout=max(0.01, until + 1 - time.monotonic()))
        except queue.Empty:
            break  # a puller is stuck in the transport
        replies[reply.node] = reply
    late = (Reply(n, None, f"no answer in {seconds:.0f} s") for n in waiting if n not in replies)
    return sorted([*replies.values(), *late], key=lambda reply: reply.node)


def _pull(grid: Grid, node: int, message_id: str, until: float, pause: float) -> Reply:
    """Ask for one reply until it is there or time is up."""
    if not message_id:
        return Reply(node, None, "the message could not be sent")
    while time.monotonic() < until:
        try:
            pulled = list(grid.pull_messages([message_id]))
        except Exception as error:  # of the transport: the site counts as silent
            return Reply(node, None, f"its reply could not be fetched ({error})")
        if pulled:
            return _read(node, pulled[0])
        time.sleep(pause)
    return Reply(node, None, "no answer in time")


def _read(node: int, message: Message) -> Reply:
    if message.has_error():
        return Reply(node, None, f"Flower error {message.error.code}: {message.error.reason}")
    if wire.REFUSAL in message.content.config_records:
        refusal = message.content.config_records[wire.REFUSAL]
        return Reply(node, None, str(refusal.get("text") or str(refusal["kind"]) + ", see its log"))
    return Reply(node, message)
