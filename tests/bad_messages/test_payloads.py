"""The same mutations against the uploads of every other method: refused, each with its word."""

from __future__ import annotations

import pytest
from flwr.app import Message
from flwr.supercore.task_identity import TaskIdentity

from client_app.app import app as client_app
from fedad.config import read
from server_app.kept import Kept
from server_app.local_grid import LocalGrid
from tests.bad_messages.door import Canned, Server, recorded
from tests.bad_messages.payload_cases import METHODS, cases_of, settings_of
from tests.bounds import bounded

CASES = [(method, case) for method in METHODS for case in cases_of(method)]


@pytest.fixture(scope="module", params=METHODS)
def told(request, knobs, tmp_path_factory):
    """A server in a run of a method, and what the liar answered in it while it was honest."""
    folder, genuine = tmp_path_factory.mktemp("method") / "run", {}
    settings = {
        **knobs,
        **settings_of(request.param),
        "round.out": str(folder),
    }
    nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        for part in ("run_id", "node_id", "task_id"):
            patch.setattr(TaskIdentity, f"_{part}", 1)
        kept = Kept.begin(folder, read(settings))
        server = Server(LocalGrid(recorded(client_app, genuine), nodes, settings), settings, kept)
        yield request.param, server, genuine
        kept.close()


def test_what_is_malformed_is_refused_with_its_word_and_what_is_honest_is_not(told):
    method, server, genuine = told
    wrong = {}
    for case in cases_of(method):
        content = case.made_of(genuine, server.run)
        with bounded():
            word = server.word(
                case.stage, Canned(lambda message, c=content: Message(c, reply_to=message))
            )
        if word != case.word:
            wrong[f"{case.stage}: {case.name}"] = (word, case.word)
    assert not wrong
    for stage in {case.stage for case in cases_of(method)}:
        honest = genuine[stage]
        grid = Canned(lambda message, c=honest: Message(c, reply_to=message))
        assert server.word(stage, grid) == ""


def test_there_are_as_many_cases_as_arrays_and_texts_ask_for():
    assert len(CASES) > 3000
    assert len({(method, case.stage, case.name) for method, case in CASES}) == len(CASES)
