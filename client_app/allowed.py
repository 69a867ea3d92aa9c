"""Whether this site's policy lets a request through, and what may leave it."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context, Message, RecordDict

from client_app.sealed import run_key
from client_app.site import Node
from fedad.messages import envelope
from fedad.policy import Warden, policy_for


class Leave:
    """The policy that node-config names, for one request; without one everything may pass.

    A simulation has no policy: its virtual sites are nobody's.
    """

    def __init__(self, context: Context, node: Node, message: Message) -> None:
        path = str(context.node_config.get("policy", ""))
        there = path and not node.simulated
        self.node = node
        # The server chooses its own key of a run, and might choose one twice: Flower's number too.
        self.run = f"{run_key(message)}/{context.run_id}" if there else ""
        policy = policy_for(self.run, Path(path), node.folder) if there else None
        self.warden = Warden(policy, node.folder) if policy else None

    def to_work(self) -> None:
        """Whether this run may have anything of the site's.

        Raises:
            PolicyError: it may not; a line of it is in the site's audit.
        """
        if self.warden:
            site = self.node.site
            self.warden.admit(self.run, {s.category for s in (*site.train, *site.test, *site.held)})

    def to_send(self, content: RecordDict) -> None:
        """Whether so much may leave.

        Raises:
            PolicyError: it may not.
        """
        if self.warden:
            self.warden.admit_upload(self.run, envelope.size_of(content))
