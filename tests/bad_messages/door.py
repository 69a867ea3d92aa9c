"""A server that has heard honest sites, to which one more answer can be brought."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from fedad import wire
from fedad.config import COVERAGE, read
from fedad.embedders.handshake import Probe
from fedad.judging import admission
from fedad.messages.envelope import EVALUATE, HELLO, TRAIN, train_stage
from fedad.methods.base import FIRST, Turn
from server_app.exchange import Reply, exchange
from server_app.kept import Kept
from server_app.quarantine import Introduction
from server_app.registry import Register
from server_app.strategy import MethodStrategy
from tests.bad_messages.cases import LIAR, Genuine

CASE = "case"  # the record that tells a rogue which case is wanted
TYPES = {HELLO: "query", TRAIN: "train", COVERAGE: f"query.{COVERAGE}", EVALUATE: "evaluate"}


class Canned:
    """A grid whose one node gives one answer."""

    def __init__(self, answer: Callable[[Message], Message]) -> None:
        self.answer, self.sent = answer, {}

    def push_messages(self, messages: list[Message]) -> list[str]:
        self.sent = {f"id-{n}": message for n, message in enumerate(messages)}
        return [*self.sent]

    def pull_messages(self, ids: list[str]) -> list[Message]:
        return [self.answer(self.sent[i]) for i in ids]

    def get_node_ids(self) -> list[int]:
        return [message.metadata.dst_node_id for message in self.sent.values()]


class Remembering(MethodStrategy):
    """Remembers in which turn each round of training was, and how each site embeds."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.turns: dict[str, Turn] = {}
        self.probes: dict[str, Probe] = {}

    def _introduction(self, one: Reply) -> Introduction:
        said = super()._introduction(one)
        name, _, probe = said
        self.probes.setdefault(name, probe)
        return said

    def configure_train(self, server_round: int, *rest: Any) -> list[Message]:
        self.turns[train_stage(server_round)] = self.kept.turn
        return super().configure_train(server_round, *rest)


class Server:
    """Asks the liar one question, and says the word that its answer is refused with, or nothing."""

    def __init__(self, grid: Any, settings: dict[str, Any], kept: Kept | None = None) -> None:
        self.strategy = Remembering(read(settings), kept)
        self.strategy.start(grid, ArrayRecord())
        assert not self.strategy.attendance.missing
        self.node = self.strategy.attendance.sites[LIAR].node
        self.run = self.strategy.kept.key
        # What the server is asked for next, by stage: the turn that it is then in.
        self.turns = {EVALUATE: self.strategy.kept.turn, **self.strategy.turns}

    def move(self, node: int) -> None:
        """From now on the liar is this node."""
        self.node = self.strategy.attendance.sites[LIAR].node = node

    def word(self, stage: str, grid: Any, number: int = 0, seconds: float = 60.0) -> str:
        """Ask for the case of a number, and say what becomes of the answer."""
        asking = RecordDict({CASE: ConfigRecord({"number": number})})
        self.strategy.kept.turn = self.turns.get(stage, FIRST)
        kind = TYPES.get(stage, TYPES[TRAIN])
        (asked,) = self.strategy._messages(kind, asking, [LIAR], stage)
        if stage == HELLO:
            (said,) = exchange(grid, [asked], seconds=seconds)
            return self._introduced(said)
        kept = copy.copy(self.strategy.attendance.sites[LIAR].told)
        for message in self.strategy._ask(grid, [asked], stage, seconds):
            self.strategy._keep(message, stage, self._keeper(stage))
        self.strategy.attendance.sites[LIAR].told = kept
        return self.forgiven()

    def forgiven(self) -> str:
        """The word for what the liar sent last, after which it is taken for honest again."""
        told = self.strategy.attendance.missing.pop(LIAR, {})
        if told:
            assert told["reason"].isprintable()
            assert len(told["reason"]) <= 300
        return told.get("word", "silent" if told else "")

    def _introduced(self, said: Reply) -> str:
        register = Register({self.node: LIAR}, ())
        for name, site in self.strategy.attendance.sites.items():
            if name != LIAR:
                register.sites[name], register.probes[name] = site, self.strategy.probes[name]
        register.enter(said, self.strategy._introduction)
        register.close()
        assert all(reason.isprintable() for reason in register.missing.values())
        return register.words.get(LIAR, "silent" if register.missing else "")

    def _keeper(self, stage: str) -> Callable[[str, RecordDict], None]:
        def measured(name: str, content: RecordDict) -> None:
            told = wire.unpack_distances(content)
            admission.admit_distances(told, self.strategy.attendance.enrolled(name))

        if stage == COVERAGE:
            return measured
        return self.strategy._keep_findings if stage == EVALUATE else self.strategy._keep_upload


def recorded(app: Any, kept: dict[str, RecordDict]) -> Callable[..., Message]:
    """`app`, whose answers for the liar are kept by stage."""

    def answer(message: Message, context: Any) -> Message:
        reply = app(message, context)
        said = reply.content.config_records.get(wire.SITE)
        if said is not None and said["name"] == LIAR:
            kept[str(said["stage"])] = copy.deepcopy(reply.content)
        return reply

    return answer


def with_distances(genuine: dict[str, RecordDict]) -> Genuine:
    """The answers of a run, and the one that only `merge.weighting = coverage` asks for."""
    told = wire.pack_distances({"bolt": 1.5, "hose": 0.5})
    told["metrics"] = MetricRecord({"seconds": 0.1})
    return {**genuine, COVERAGE: told}
