"""A run that ended early goes on from its journal, and comes to the same bytes."""

import json
import shutil

import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from client_app import sealed
from client_app.app import app as client_app
from fedad import wire
from fedad.config import read
from fedad.errors import ConfigError, DataError
from fedad.models.forgetting import forget
from fedad.plumbing.journal import NAME, Journal, TakenError, events_of
from fedad.reporting.run_folder import FAILURE, write_failure
from fedad.running.overlay import resumed_config
from server_app.kept import Kept
from server_app.local_grid import LocalGrid
from server_app.strategy import MethodStrategy
from tests.conftest import SITES

NODES = [{"partition-id": number, "num-partitions": 3} for number in range(3)]
KEY = "0123456789abcdef" * 2


pytestmark = pytest.mark.usefixtures("in_a_run")


@pytest.fixture
def settings(knobs, tmp_path):
    """The sites' own files go below `round.out`, the server's into a folder beside it."""
    return {**knobs, "round.out": str(tmp_path / "plants"), "score.replicates": 5}


class Watched(LocalGrid):
    """A local grid that notes what each node is asked."""

    def __init__(self, settings, nodes=NODES):
        super().__init__(client_app, nodes, settings)
        self.asked = []

    def push_messages(self, messages):
        messages = list(messages)
        self.asked += [(m.metadata.message_type, m.metadata.dst_node_id) for m in messages]
        return super().push_messages(messages)


def run(settings, kept, nodes=NODES):
    """What a run comes to, and what was asked for."""
    grid, strategy = Watched(settings, nodes), MethodStrategy(read(settings), kept)
    try:
        strategy.start(grid, ArrayRecord())
    finally:
        kept.close()
    merged = [event["sha256"] for event in kept.events("merged")]
    return (merged, json.dumps(strategy.record()["figures"])), grid.asked


def test_uploads_that_are_kept_for_no_day_go_with_the_merge(settings, tmp_path):
    folder, config = tmp_path / "run", read({**settings, "round.keep-days": 0})
    run({**settings, "round.keep-days": 0}, Kept.begin(folder, config))
    assert (folder / "bank.safetensors").exists()
    assert not (folder / "uploads").exists()
    with pytest.raises(DataError, match=r"not kept.*round.keep-days = 0"):
        forget(folder, "lyon", tmp_path / "without")


def test_a_run_that_is_cut_after_any_event_comes_to_the_same_bytes(settings, tmp_path):
    config = read(settings)
    whole, _ = run(settings, Kept.begin(tmp_path / "whole", config))
    lines = (tmp_path / "whole" / NAME).read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines) + 1):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / f"cut-{cut}")
        torn = lines[cut][:30] if cut < len(lines) else b""
        (folder / NAME).write_bytes(b"".join(lines[:cut]) + torn)
        given = [json.loads(line.partition(b" ")[2]) for line in lines[:cut]]
        found, asked = run(settings, Kept.reopen(folder, config))
        assert found == whole, f"cut after {given[-1]}"
        missing = {"train": 3, "evaluate": 3}
        for event in given:
            missing["train"] -= event["event"] == "uploaded"
            missing["evaluate"] -= event["event"] == "judged"
        counted = {kind: [one for one, _ in asked].count(kind) for kind in missing}
        assert counted == missing, f"cut after {given[-1]}"


@pytest.mark.parametrize("judged", [3, 2])
def test_nobody_waits_for_a_site_that_has_given_all(judged, settings, tmp_path):
    """The sites that have judged need not come back, whatever `round.min-sites` is."""
    config = read(settings)
    whole, _ = run(settings, Kept.begin(tmp_path / "run", config))
    path, lines = tmp_path / "run" / NAME, []
    for line in (tmp_path / "run" / NAME).read_bytes().splitlines(keepends=True):
        lines.append(line)
        if b"".join(lines).count(b'"event": "judged"') == judged:
            break
    path.write_bytes(b"".join(lines))
    told = [json.loads(line.partition(b" ")[2]) for line in lines]
    through = {event["site"] for event in told if event["event"] == "judged"}
    left = [node for node, name in zip(NODES, SITES, strict=True) if name not in through]
    assert len(left) == 3 - judged
    found, asked = run(settings, Kept.reopen(tmp_path / "run", config), left)
    assert found == whole
    assert [kind for kind, _ in asked] == ["query", "evaluate"][: 2 * len(left)]


def test_a_run_goes_on_only_as_it_was_begun(settings, tmp_path):
    folder = tmp_path / "run"
    Kept.begin(folder, read(settings)).close()
    other = read({**settings, "coreset.local-ratio": 0.5})
    with pytest.raises(ConfigError, match=r"coreset\.local-ratio = 0\.5 and was 0\.25"):
        Kept.reopen(folder, other)
    Kept.reopen(folder, read({**settings, "round.train-seconds": 7.0})).close()


def test_a_wrong_override_leaves_the_word_for_why_a_run_ended(settings, tmp_path):
    Kept.begin(tmp_path / "run", read(settings)).close()
    write_failure(tmp_path / "run", DataError("the disk is full"))
    with pytest.raises(ConfigError, match=r"round\.train-seconds = 0"):
        resumed_config(tmp_path / "run", ["round.train-seconds=0.0"])
    assert (tmp_path / "run" / FAILURE).exists()
    assert resumed_config(tmp_path / "run", ["round.train-seconds=9.0"]).round.resume
    assert not (tmp_path / "run" / FAILURE).exists()


def test_a_folder_holds_one_run_and_one_process_has_it(settings, tmp_path):
    folder, config = tmp_path / "run", read(settings)
    kept = Kept.begin(folder, config)
    with pytest.raises(TakenError, match="another process goes on with this run"):
        Kept.reopen(folder, config)
    kept.close()
    with pytest.raises(TakenError, match="a run has begun there"):
        Kept.begin(folder, config)
    with pytest.raises(DataError, match="no run has begun there"):
        Kept.reopen(tmp_path / "other", config)


@pytest.mark.parametrize("harm", ["changed", "gone", "another's"])
def test_a_kept_upload_that_is_not_what_came_is_refused(harm, settings, tmp_path):
    folder, config = tmp_path / "run", read(settings)
    run(settings, Kept.begin(folder, config))
    lines = (folder / NAME).read_bytes().splitlines(keepends=True)
    merged = next(k for k, line in enumerate(lines) if b'"event": "merged"' in line)
    (folder / NAME).write_bytes(b"".join(lines[:merged]))  # what is merged is not read again
    files = sorted((folder / "uploads").iterdir())
    content = bytearray(files[0].read_bytes())
    content[-1] ^= 1
    if harm == "changed":
        files[0].write_bytes(content)
    elif harm == "gone":
        files[0].unlink()
    else:
        shutil.copy(files[1], files[0])
    with pytest.raises(DataError, match=files[0].name):
        Kept.reopen(folder, config)


def test_a_changed_line_of_a_journal_is_refused_and_a_torn_one_forgotten(tmp_path):
    journal = Journal.begin(tmp_path, key="k")
    journal.note("enrolled", site="lyon")
    journal.note("finished")
    journal.close()
    path = tmp_path / NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"lyon", b"graz"), lines[2]]))
    with pytest.raises(DataError, match="line 2 is not what was written"):
        events_of(tmp_path)
    path.write_bytes(lines[0] + lines[2])  # a line was taken out
    with pytest.raises(DataError, match="line 2 is not what was written"):
        events_of(tmp_path)
    path.write_bytes(b"".join(lines)[:-5])
    assert [event["event"] for event in events_of(tmp_path)] == ["begun", "enrolled"]
    again = Journal.reopen(tmp_path)
    again.note("resumed")
    again.close()
    assert [event["event"] for event in events_of(tmp_path)] == ["begun", "enrolled", "resumed"]


@pytest.fixture
def site(settings):
    """A site that can be asked for its upload, and the folder where it keeps its answers."""
    grid = LocalGrid(client_app, NODES, settings)

    def ask(key=KEY):
        content = RecordDict({wire.RUN: ConfigRecord({"key": key})})
        grid.push_messages([Message(content, 100, "train")])
        (reply,) = grid.pull_messages(list(grid.replies))
        return reply.content

    ask.grid = grid
    return ask


def test_a_repeated_request_gets_the_same_bytes_without_work(site, monkeypatch):
    first = site()
    monkeypatch.setattr("client_app.work.learn", lambda *_: pytest.fail("it worked again"))
    second = site()
    assert first["bank"]["rows"].data == second["bank"]["rows"].data
    assert first["metrics"] == second["metrics"]  # the seconds of the first time
    assert first["header"] == second["header"]


def test_a_torn_answer_is_made_anew_with_the_same_bytes(site, settings, tmp_path):
    first = site()
    (path,) = (tmp_path / "plants").rglob("upload.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    assert site()["bank"]["rows"].data == first["bank"]["rows"].data


def test_one_run_cannot_ask_for_two_things(site, tmp_path):
    site()
    site.grid.contexts[100].run_config["coreset.local-ratio"] = 0.5
    refusal = site()[wire.REFUSAL]
    assert "the same run has asked for something else before" in refusal["text"]
    assert "bank" in site("f" * 32)


@pytest.mark.parametrize("key", ["", "../../etc", "A" * 32, "0" * 31])
def test_a_run_whose_name_is_none_is_refused(key, site):
    assert "expected 32 hexadecimal digits" in site(key)[wire.REFUSAL]["text"]


def test_a_site_forgets_all_but_its_last_runs(tmp_path):
    for number in range(sealed.KEPT + 3):
        (tmp_path / f"{number:032x}").mkdir()
    (tmp_path / "scores.csv").touch()
    sealed.forget_old(tmp_path)
    assert len(list(tmp_path.iterdir())) == sealed.KEPT + 1
