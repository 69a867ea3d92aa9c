"""Nothing malformed gets in, each refusal has its word, and what is honest is let in."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from client_app.app import app as client_app
from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.errors import UploadError
from fedad.messages.envelope import FIELDS, TRAIN
from server_app.kept import Kept
from server_app.local_grid import LocalGrid
from server_app.quarantine import refusal_of
from server_app.strategy import MethodStrategy
from tests.bad_messages.cases import CASES
from tests.bad_messages.door import Canned, Server, recorded, with_distances
from tests.bounds import bounded


@pytest.fixture(scope="module", autouse=True)
def _in_a_run():
    with pytest.MonkeyPatch.context() as patch:
        for part in ("run_id", "node_id", "task_id"):
            patch.setattr(TaskIdentity, f"_{part}", 1)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("door") / "run"


@pytest.fixture(scope="module")
def told(knobs, folder):
    """A server in a run, and what the liar answered in it while it was honest."""
    settings, genuine = {**knobs, "round.out": str(folder), "score.replicates": 5}, {}
    nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
    kept = Kept.begin(folder, read(settings))
    grid = LocalGrid(recorded(client_app, genuine), nodes, settings)
    yield Server(grid, settings, kept), with_distances(genuine)
    kept.close()


def brought(server, stage, content: RecordDict) -> str:
    return server.word(stage, Canned(lambda message: Message(content, reply_to=message)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.stage}: {case.name}")
def test_what_is_malformed_is_refused_with_its_word(case, told):
    server, genuine = told
    content = case.made_of(genuine, server.run)
    with bounded():
        word = brought(server, case.stage, content)
    assert word == case.word


def test_there_are_two_hundred_and_more():
    assert len({(case.stage, case.name) for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize("stage", FIELDS)
def test_what_is_genuine_gets_in_bound_anew(stage, told):
    server, genuine = told
    content = RecordDict({k: v for k, v in genuine[stage].items() if k != wire.SITE})
    wire.bind(content, "lyon", server.run, stage, [Bank])
    assert not brought(server, stage, content)


def test_what_is_put_aside_can_be_looked_at(told, folder):
    server, genuine = told
    rows = genuine[TRAIN]["bank"]["rows"].numpy().copy()
    rows[0, 0] = np.nan
    (case,) = (c for c in CASES if c.name == "a row with nan")
    assert brought(server, TRAIN, case.made_of(genuine, server.run)) == "finite"
    about = json.loads((folder / "quarantine" / "lyon-train.json").read_text())
    assert about["reason"] == "finite"
    assert "NaN or infinity" in about["told"]
    kept = (folder / "quarantine" / "lyon-train.bin").read_bytes()
    assert len(kept) == about["kept-bytes"] == sum(one["bytes"] for one in about["arrays"])
    assert rows.tobytes() in kept


def test_an_answer_above_the_limit_is_not_parsed(told, monkeypatch):
    server, genuine = told
    monkeypatch.setattr(server.strategy.door, "most", 1000)
    content = RecordDict(dict(genuine[TRAIN]))
    assert brought(server, TRAIN, content) == "size"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["header"].update(sites=["x" * 2**20]),
        lambda content: content["header"].update({"x" * 2**20: ""}),
        lambda content: content.update({"x" * 2**20: ConfigRecord()}),
        lambda content: content["metrics"].update(seconds=[1.0] * 2**18),
    ],
)
def test_lists_and_names_count_as_what_they_hold(change, told, monkeypatch):
    server, genuine = told
    monkeypatch.setattr(server.strategy.door, "most", 2**20)
    content = copy.deepcopy(genuine[TRAIN])
    change(content)
    assert brought(server, TRAIN, content) == "size"


def test_of_a_deployed_sites_refusal_only_known_words_are_shown(told, monkeypatch):
    server, _ = told
    said = {"kind": "DataError", "reason": "tree", "text": "/data/secret/0001.png: no tree"}
    other = {**said, "kind": "/data/secret", "reason": "0001.png"}
    for one, shown in ((said, "DataError tree"), (other, "it refuses"), ({}, "it refuses")):
        content = RecordDict({wire.REFUSAL: ConfigRecord(one)})
        assert refusal_of(content, virtual=False) == f"{shown}, see its log"
    assert server.strategy.door.virtual
    monkeypatch.setattr(server.strategy.door, "virtual", False)
    with pytest.raises(UploadError, match=r"^DataError tree, see its log$"):
        server.strategy.door.check(RecordDict({wire.REFUSAL: ConfigRecord(said)}), "lyon", TRAIN)


def test_a_lie_about_images_is_clamped_to_what_the_rows_can_stand_for(told, monkeypatch):
    """Also where the site lied alike when it enrolled."""
    server, genuine = told
    about = server.strategy.attendance.sites["lyon"].about
    monkeypatch.setitem(about, "train", {"bolt": 10**9, "hose": 2})
    content = RecordDict(dict(genuine[TRAIN]))
    lie = wire.unpack(content, Bank).replace(
        images=np.array([[10**9, 2]]), patches=np.array([[10**9, 128]])
    )
    content.update(wire.pack(lie))
    del content[wire.SITE]
    wire.bind(content, "lyon", server.run, TRAIN, [Bank])
    assert not brought(server, TRAIN, content)
    believed = server.strategy.kept.uploads["lyon"]
    assert believed.images.tolist() == [[3, 2]]  # 32 rows at a ratio of 0.25: under 132 patches
    assert any("says that its" in warning for warning in server.strategy.attendance.warnings)


def test_the_round_goes_on_without_who_is_refused(knobs, tmp_path):
    """One site sends what cannot be used; the others' run ends, and says why it was left out."""
    settings = {**knobs, "round.out": str(tmp_path), "round.min-sites": 2}

    def liar(message, context):
        answer = client_app(message, context)
        if context.node_config["partition-id"] == 1 and "bank" in answer.content:
            answer.content["bank"]["rows"] = answer.content["bank"]["row"]
        return answer

    nodes = [{"partition-id": k, "num-partitions": 3} for k in range(3)]
    strategy = MethodStrategy(read(settings))
    strategy.start(LocalGrid(liar, nodes, settings), ArrayRecord())
    assert strategy.model.sites == ("graz", "turin")
    assert strategy.record()["missing"]["lyon"]["word"] == "altered"
    assert set(strategy.findings) == {"graz", "turin"}
