"""A SuperNode that is none of ours: it speaks Flower's protocol and answers what it likes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from flwr.app import Message, RecordDict
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    pull_and_inflate_object_from_tree,
    push_objects,
)
from flwr.supernode.fleet_http_connection import http_request_response

Answer = Callable[[Message], RecordDict]


@contextmanager
def rogue(address: str, answer: Answer) -> Iterator[None]:
    """Inside, a node at the SuperLink answers every message with what `answer` gives."""
    done = threading.Event()
    thread = threading.Thread(target=_serve, args=(address, answer, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _serve(address: str, answer: Answer, done: threading.Event) -> None:
    with http_request_response(address, insecure=True) as connection:
        _, receive, send, _, _, pull, push, confirm = connection
        while not done.is_set():
            if (got := receive()) is None:
                time.sleep(0.05)
                continue
            message, tree = got
            run = message.metadata.run_id
            asked = pull_and_inflate_object_from_tree(
                tree, partial(pull, run), partial(confirm, run), return_type=Message
            )
            asked.metadata.__dict__["_message_id"] = message.metadata.message_id
            reply = Message(answer(asked), reply_to=asked)
            with no_object_id_recompute():
                reply.metadata.__dict__["_message_id"] = reply.object_id
                wanted, session = send(reply, get_object_tree(reply), 0.1)
                push_objects(
                    get_all_nested_objects(reply),
                    partial(push, run, session),
                    object_ids_to_push=wanted,
                )
