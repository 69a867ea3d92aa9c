"""Whether this site's policy lets a request through, and what may leave it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.supercore.utils import get_flwr_home

from client_app.own import policy_of
from client_app.sealed import run_key
from client_app.site import Node
from fedad.messages import envelope
from fedad.policy import Warden


class Leave:
    """The policy of a site, for one request; where node-config names none, the defaults.

    A simulation has no policy, and no budgets: its virtual sites are nobody's.
    """

    def __init__(self, context: Context, node: Node, message: Message) -> None:
        self.node, self.warden = node, None
        # The server chooses its own key of a run, and might choose one twice: Flower's number too.
        self.run = "" if node.simulated else f"{run_key(message)}/{context.run_id}"
        if not node.simulated:
            policy = node.policy or policy_of(context.node_config, self.run)
            self.warden = Warden(policy, node.folder, guarded=_is_from_a_server())

    @property
    def smallest_group(self) -> int:
        """How many images must be behind a number that leaves; at a virtual site, one."""
        return self.warden.policy.smallest_group if self.warden else 1

    @property
    def tells_of_test_images(self) -> bool:
        """Whether test images are no part of what a private release protects, so that figures of
        them may leave: as a policy says, and at a virtual site."""
        return self.warden is None or self.warden.policy.test_images_outside_the_unit

    def to_work(self) -> None:
        """Whether this run may have anything of the site's.

        Raises:
            PolicyError: it may not; a line of it is in the site's audit.
        """
        if self.warden:
            self.warden.admit(self.run, self._products())

    def to_answer(self, stage: str, made_of: str) -> None:
        """Whether an answer that was not sealed before may be made; it is on the account then.

        Raises:
            PolicyError: it may not.
        """
        if self.warden:
            self.warden.admit_answer(self.run, stage, made_of, self._products())

    def coverage_left(self) -> int | None:
        """How many answers about distances this run may have; None at a virtual site."""
        return self.warden.coverage_left(self.run, self._products()) if self.warden else None

    def to_judge(self, sites: Iterable[str], lacking: Iterable[str]) -> None:
        """Whether a model may be answered about; see `Warden.admit_model`.

        Raises:
            PolicyError: it may not.
        """
        if self.warden:
            self.warden.admit_model(self.run, sites, lacking)

    def to_send(self, content: RecordDict) -> None:
        """Whether so much may leave.

        Raises:
            PolicyError: it may not.
        """
        if self.warden:
            self.warden.admit_upload(self.run, envelope.size_of(content))

    def _products(self) -> set[str]:
        site = self.node.site
        return {s.category for s in (*site.train, *site.test, *site.held)}


def _is_from_a_server() -> bool:
    """Whether this very code was unpacked from a run's app, and is not what the site installed."""
    return Path(__file__).resolve().is_relative_to(get_flwr_home().resolve())
