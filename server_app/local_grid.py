"""Flower's Grid in this process: the same apps, messages and bytes, without Ray or a SuperLink."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import HEARTBEAT_INTERVAL_INF
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from client_app.app import app as client_app
from fedad.running.finishing import finished_by_caller
from server_app.app import app as server_app

RUN_ID, SERVER_NODE, FIRST_NODE = 1, 1, 100


class LocalGrid(Grid):
    """Nodes that answer in the order in which they are asked, one after the other.

    Args:
        node_configs: what each SuperNode would be started with.
    """

    def __init__(
        self,
        client_app: ClientApp,
        node_configs: Iterable[Mapping[str, Any]],
        run_config: Mapping[str, Any],
    ) -> None:
        self.client_app = client_app
        self.contexts = {
            node: _context(node, node_config, run_config)
            for node, node_config in enumerate(node_configs, start=FIRST_NODE)
        }
        self.replies: dict[str, Message] = {}
        self.ids = itertools.count(1)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver each message at once and keep the reply."""
        ids = []
        for message in messages:
            message_id = f"local-{next(self.ids)}"
            message.metadata.__dict__["_message_id"] = message_id
            self.replies[message_id] = self._deliver(message)
            ids.append(message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self.replies.pop(i) for i in message_ids if i in self.replies]

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def get_nodes(self) -> list[NodeInfo]:
        """As Flower's own simulation has them: without a name, and never heard of again."""
        return [
            NodeInfo(node_id=node, heartbeat_interval=HEARTBEAT_INTERVAL_INF)
            for node in self.contexts
        ]

    def _deliver(self, message: Message) -> Message:
        try:
            return self.client_app(message, self.contexts[message.metadata.dst_node_id])
        except Exception as error:  # as Flower does with what a ClientApp raises
            reason = f"{type(error)}:<{error!r}>"
            return Message(Error(code=2, reason=reason), reply_to=message)

    # What our strategy does not use, and Flower's interface asks for.

    def set_run(self, run: Run) -> None:
        raise TypeError("a local grid belongs to one run")

    @property
    def run(self) -> Run:
        raise TypeError("a local grid has no Flower run")

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        return Message(*args, **kwargs)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        return self.pull_messages(self.push_messages(messages))


def run_locally(run_config: Mapping[str, Any], *, sites: int) -> None:
    """One run of our apps in this process over virtual sites, as `flwr run` would do it.

    Raises:
        Exception: whatever the ServerApp raises.
    """
    nodes = [{"partition-id": number, "num-partitions": sites} for number in range(sites)]
    grid = LocalGrid(client_app, nodes, run_config)
    for part in ("run_id", "node_id", "task_id"):
        setattr(TaskIdentity, part, RUN_ID)  # Flower makes messages only inside a run
    with finished_by_caller():
        server_app(grid, _context(SERVER_NODE, {}, run_config))


def _context(node: int, node_config: Mapping[str, Any], run_config: Mapping[str, Any]) -> Context:
    return Context(
        run_id=RUN_ID,
        node_id=node,
        node_config=dict(node_config),
        state=RecordDict(),
        run_config=dict(run_config),
    )
