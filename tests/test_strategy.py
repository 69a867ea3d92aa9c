"""The server's half: what it refuses, and that one site never holds up another."""

import csv
import errno
import json
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from client_app.app import app as client_app
from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.errors import ConfigError, FedadError
from fedad.evaluation import summarise
from fedad.methods.base import method_of
from fedad.round import merge
from server_app.exchange import exchange
from server_app.kept import Kept
from server_app.local_grid import LocalGrid, run_locally
from server_app.strategy import MethodStrategy, RunRefusedError, _uncalibrated

pytestmark = pytest.mark.usefixtures("in_a_run")


@pytest.fixture
def settings(knobs, tmp_path):
    return {**knobs, "round.out": str(tmp_path / "run"), "round.enrol-seconds": 1.0}


def nodes(count=3):
    return [{"partition-id": k, "num-partitions": count} for k in range(count)]


def start(settings, node_configs, app=client_app):
    strategy = MethodStrategy(read(settings))
    strategy.start(LocalGrid(app, node_configs, settings), ArrayRecord())
    return strategy


def meddling(change):
    """Our app, with `change(site, message, reply content)` applied to each reply.

    What is changed is bound anew, as who has a site's key can do.
    """

    def app(message, context):
        reply = client_app(message, context)
        said = dict(reply.content["site"]) if "site" in reply.content else {"name": ""}
        changed = change(said["name"], message, reply.content)
        if changed:
            name = str(changed["site"]["name"])
            wire.bind(changed, name, said["run"], said["stage"], [Bank])
        return Message(changed or reply.content, reply_to=message)

    return app


def test_a_factorys_node_config_gives_the_bank_of_the_simulation(
    factory, settings, plants, tmp_path
):
    """One folder a site: what deployment reads gives the bytes that the simulation gives."""
    for category in ("bolt", "hose"):
        for row in csv.DictReader((plants / category / "sites.csv").read_text().splitlines()):
            for tree in ("", "ground_truth"):
                source = plants / category / tree / row["file"].removeprefix("test/" * bool(tree))
                source = source.with_suffix("") if tree else source
                if source.exists():
                    target = (
                        tmp_path / row["site"] / category / source.relative_to(plants / category)
                    )
                    target.parent.mkdir(parents=True, exist_ok=True)
                    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        for site in ("graz", "lyon", "turin"):
            shutil.copy(plants / category / "defects_config.json", tmp_path / site / category)
    factories = [
        factory(site, tmp_path / site, tmp_path / site / "out")
        for site in ("turin", "graz", "lyon")
    ]
    deployed = start({**settings, "data.dir": "/ignored"}, factories)
    simulated = start(settings, nodes())
    np.testing.assert_array_equal(deployed.model.rows, simulated.model.rows)
    assert json.dumps(deployed.record()["figures"]) == json.dumps(simulated.record()["figures"])
    assert (tmp_path / "lyon" / "out" / "scores.csv").exists()
    assert (tmp_path / "lyon" / "out" / "models" / "current" / "passport.json").exists()


def test_nan_in_an_upload_is_refused_by_name(settings):
    def poison(site, message, content):
        if site == "lyon" and "bank" in content:
            rows = content["bank"]["rows"].numpy().copy()
            rows[2, 1] = np.nan
            bad = wire.pack(wire.unpack(content, Bank).replace(rows=rows))
            return RecordDict({**content, **bad})
        return None

    with pytest.raises(FedadError, match="site lyon: bank/rows holds NaN"):
        start(settings, nodes(), meddling(poison))


def test_a_site_that_embeds_otherwise_is_refused_naming_both_and_what_differs(settings):
    def other_network(message, context):
        if context.node_config["partition-id"] == 1:
            context.run_config = {**settings, "embedder.pool": 1}
        return client_app(message, context)

    with pytest.raises(FedadError, match=r"graz and lyon do not embed alike \(pool: 3 and 1\)"):
        start(settings, nodes(), other_network)


def test_a_bank_in_another_sites_name_is_refused(settings):
    def disguise(site, message, content):
        if site == "lyon" and "bank" in content:
            bank = wire.unpack(content, Bank).replace(sites=("graz",))
            return RecordDict({**content, **wire.pack(bank)})
        return None

    with pytest.raises(FedadError, match="site lyon: it sent a bank of graz"):
        start(settings, nodes(), meddling(disguise))


def test_a_site_that_changes_its_name_is_refused(settings):
    def rename(site, message, content):
        if site == "lyon" and message.metadata.message_type == "train":
            return RecordDict({**content, "site": ConfigRecord({"name": "oslo"})})
        return None

    with pytest.raises(RunRefusedError, match="site lyon: it answers as 'oslo'"):
        start(settings, nodes(), meddling(rename))


@pytest.mark.parametrize("name", ["lyon,oslo", "lyon=2", "a/b"])
def test_a_name_that_no_site_can_have_is_refused(name, settings):
    def rename(site, message, content):
        if site == "lyon" and message.metadata.message_type == "query":
            return RecordDict({**content, "site": ConfigRecord({"name": name})})
        return None

    with pytest.raises(RunRefusedError, match=r"cannot be a file's, or has a comma or ="):
        start(settings, nodes(), meddling(rename))


def test_two_nodes_of_one_name_are_refused(settings, plants, factory, tmp_path):
    twins = [factory("lyon", plants, tmp_path)] * 3
    with pytest.raises(RunRefusedError, match="two nodes say that they are site 'lyon'"):
        start(settings, twins)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({}, "InternalError|ConfigError"),
        ({"site": "lyon", "data-dir": "/gone"}, "DataError tree, see"),
    ],
)
def test_what_fails_at_a_factory_is_told_without_a_path(settings, node, says, factory, tmp_path):
    node = factory(node["site"], node["data-dir"], tmp_path) if node else node
    with pytest.raises(RunRefusedError, match=says) as refusal:
        start({**settings, "data.sites": 1}, [node])
    assert "/gone" not in str(refusal.value)


def test_fewer_nodes_than_sites_end_the_run_in_time(settings):
    began = time.monotonic()
    with pytest.raises(RunRefusedError, match=r"data.sites = 3, and 2 nodes came in 1 s"):
        start(settings, nodes()[:2])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("expected", "said"),
    [("graz,lyon", "the 2 sites of round.expected"), ("", "the 3 sites of data.sites")],
)
def test_more_sites_than_there_are_cannot_be_left(expected, said, settings):
    settings |= {"round.min-sites": 4, "round.expected": expected, "round.enrol-seconds": 60.0}
    with pytest.raises(ConfigError, match=rf"round\.min-sites = 4: expected at most {said}"):
        start(settings, [])


def at_coverage(what, since=1):
    """Our app, where lyon does `what` with the answers it gives about distances, from the first."""
    asked = []

    def change(site, message, content):
        if site != "lyon" or message.metadata.message_type != "query.coverage":
            return None
        asked.append(message)
        return what(content) if len(asked) >= since else None

    return meddling(change), asked


def lie(content):
    return RecordDict({**content, "distances": ConfigRecord({"json": '{"bolt": -1}'})})


def crash(content):
    raise RuntimeError("cut off")


def decline(content):
    refusal = ConfigRecord({"kind": "DataError", "reason": "tree"})
    content.clear()
    content["refusal"] = refusal


@pytest.fixture
def covering(settings):
    return {**settings, "merge.weighting": "coverage", "bank.size": 60, "round.min-sites": 2}


@pytest.mark.parametrize("since", [1, 3])
def test_who_lies_about_distances_leaves_the_bank_and_nobody_is_asked_again(
    since, covering, monkeypatch
):
    uploads, keep = {}, Kept.keep_upload

    def seen(self, site, upload, told):
        uploads[site] = upload
        keep(self, site, upload, told)

    monkeypatch.setattr(Kept, "keep_upload", seen)
    app, asked = at_coverage(lie, since)
    strategy = start(covering, nodes(), app)
    assert len(asked) == since
    assert strategy.attendance.missing["lyon"]["stage"] == "coverage"
    assert strategy.attendance.missing["lyon"]["word"]
    honest = [uploads[name] for name in ("graz", "turin")]
    by_count = merge(read({**covering, "merge.weighting": "n"}), honest)
    np.testing.assert_array_equal(strategy.model.rows, by_count.rows)
    assert strategy.model.sites == ("graz", "turin")
    assert set(strategy.findings) == {"graz", "turin"}
    assert "the bank is merged without site lyon, by image count" in strategy.attendance.warnings


@pytest.mark.parametrize("what", [crash, decline])
def test_who_is_cut_off_or_declines_stays_in_the_bank_and_may_judge_later(what, covering):
    app, _ = at_coverage(what)
    folder = Path(covering["round.out"])
    kept = Kept.begin(folder, read(covering))
    strategy = MethodStrategy(read(covering), kept)
    strategy.start(LocalGrid(app, nodes(), covering), ArrayRecord())
    assert strategy.attendance.missing["lyon"]["stage"] == "coverage"
    assert strategy.model.sites == ("graz", "lyon", "turin")
    assert set(strategy.findings) == {"graz", "turin"}
    kept.close()
    kept = Kept.reopen(folder, read(covering))
    again = MethodStrategy(read(covering), kept)
    again.start(LocalGrid(client_app, nodes(), covering), ArrayRecord())
    assert set(again.findings) == {"graz", "lyon", "turin"}
    np.testing.assert_array_equal(again.model.rows, strategy.model.rows)
    kept.close()


@pytest.mark.parametrize("what", [lie, crash])
def test_too_few_sites_left_while_distances_are_asked_end_the_run_before_the_bank(what, covering):
    kept = Kept(method_of(read(covering)).rounds)
    app, asked = at_coverage(what)
    strategy = MethodStrategy(read({**covering, "round.min-sites": 3}), kept)
    with pytest.raises(RunRefusedError, match=r"2 sites are left, round\.min-sites = 3"):
        strategy.start(LocalGrid(app, nodes(), covering), ArrayRecord())
    assert len(asked) == 1
    assert not kept.is_learned


def test_an_upload_that_was_refused_does_not_end_the_asking(covering):
    def poison(site, message, content):
        if site == "lyon" and "bank" in content:
            content["bank"]["rows"] = content["bank"]["row"]
            return content
        return None

    strategy = start(covering, nodes(), meddling(poison))
    assert strategy.attendance.missing["lyon"]["stage"] == "train"
    assert "seconds_coverage" in strategy.record()["sites"]["graz"]
    assert not any("by image count" in warning for warning in strategy.attendance.warnings)


def test_virtual_nodes_that_do_not_fit_the_sites_are_refused(settings):
    with pytest.raises(RunRefusedError, match=r"num-supernodes = 4: .* makes 3 sites"):
        start(settings, nodes(4))


def test_a_product_that_nobody_knows_ends_a_run_that_needs_all_sites(settings):
    with pytest.raises(FedadError, match="site lyon has test images of 'gear', of which no site"):
        start(settings, nodes(), lyon_saying(gears))


def test_a_product_that_nobody_knows_ends_no_run_that_can_do_without_a_site(settings):
    strategy = start({**settings, "round.min-sites": 2}, nodes(), lyon_saying(gears))
    assert set(strategy.findings) == {"graz", "lyon", "turin"}
    assert any("of 'gear'" in warning for warning in strategy.attendance.warnings)


def lyon_saying(change):
    """Our app, with `change(what lyon says of itself)` applied."""

    def introduce(site, message, content):
        if site != "lyon" or message.metadata.message_type != "query":
            return None
        about = json.loads(content["about"]["json"])
        change(about)
        return RecordDict({**content, "about": ConfigRecord({"json": json.dumps(about)})})

    return meddling(introduce)


def gears(about):
    """Images of a product that no other site has ever seen."""
    about["test"]["gear"] = 5


def test_a_bank_size_that_cannot_be_met_is_lowered_where_a_site_may_be_missing(settings):
    strategy = start({**settings, "bank.size": 9999, "round.min-sites": 2}, nodes())
    assert len(strategy.model) == 192
    assert any("bank.size = 9999 is lowered" in warning for warning in strategy.attendance.warnings)


def test_a_grid_that_no_image_has_is_refused(settings):
    def no_grid(about):
        about["fingerprint"]["patches"] = 0

    with pytest.raises(RunRefusedError, match="an image of 0 patches"):
        start(settings, nodes(), lyon_saying(no_grid))


def test_a_full_disk_of_the_server_is_blamed_on_no_site(settings, monkeypatch):
    def no_grid(about):
        about["fingerprint"]["patches"] = 0

    full = OSError(errno.ENOSPC, "No space left on device", "quarantine")
    monkeypatch.setattr("server_app.quarantine.write_json", Mock(side_effect=full))
    kept = Kept.begin(Path(settings["round.out"]), read(settings))
    strategy = MethodStrategy(read({**settings, "round.min-sites": 2}), kept)
    with pytest.raises(OSError, match="No space left"):
        strategy.start(LocalGrid(lyon_saying(no_grid), nodes(), settings), ArrayRecord())
    assert not strategy.attendance.missing
    kept.close()


def test_a_bank_size_that_cannot_be_met_is_refused_before_training(settings):
    trained = []
    app = meddling(lambda site, message, content: trained.append(message.metadata.message_type))
    with pytest.raises(FedadError, match=r"bank.size = 9999: the sites can upload 192 rows"):
        start({**settings, "bank.size": 9999}, nodes(), app)
    assert set(trained) == {"query"}


def test_what_is_wrong_with_a_sites_files_stands_in_the_record(settings):
    def cut(site, message, content):
        if site == "lyon" and message.metadata.message_type == "train":
            content["metrics"]["train.cut"] = 2
            return content
        return None

    record = start(settings, nodes(), meddling(cut)).record()
    assert record["sites"]["lyon"]["faults"] == {"train.cut": 2}
    assert not record["sites"]["graz"]["faults"]
    assert any(
        warning.startswith("site lyon skipped 2 train images: the file ends too early")
        for warning in record["warnings"]
    )


def test_findings_that_cannot_be_reported_are_not_kept(settings, monkeypatch):
    """The run must not end on them later, nor again when it is resumed."""
    first = [True]

    def failing(*counts):
        if first:
            first.clear()
            raise IndexError("out of range")
        return summarise(*counts)

    monkeypatch.setattr("fedad.judging.findings.summarise", failing)
    strategy = start({**settings, "round.min-sites": 2}, nodes())
    assert strategy.attendance.missing["graz"]["word"] == "content"
    assert set(strategy.findings) == {"lyon", "turin"}


def test_a_fault_of_the_server_leaves_a_word_in_the_run_folder(settings, monkeypatch):
    monkeypatch.setattr(MethodStrategy, "aggregate_evaluate", Mock(side_effect=IndexError))
    with pytest.raises(FedadError, match="the server failed"):
        run_locally(settings, sites=3)
    failure = Path(settings["round.out"]) / "failure.json"
    assert "IndexError" in json.loads(failure.read_text())["message"]


def test_a_wrong_knob_leaves_its_word_in_its_own_folder_and_none_in_a_live_runs(settings):
    folder, wrong = Path(settings["round.out"]), {**settings, "coreset.local-ratio": 2.0}
    with pytest.raises(ConfigError, match=r"local-ratio = 2"):
        run_locally(wrong, sites=3)
    assert "local-ratio" in json.loads((folder / "failure.json").read_text())["message"]
    (folder / "failure.json").unlink()
    kept = Kept.begin(folder, read(settings))
    with pytest.raises(ConfigError, match=r"local-ratio = 2"):
        run_locally(wrong, sites=3)
    kept.close()
    assert not (folder / "failure.json").exists()


class SlowGrid:
    """A grid whose node 1 is stuck in its upload and whose node 2 never answers."""

    def __init__(self):
        self.released = threading.Event()

    def push_messages(self, messages):
        return [f"id-{message.metadata.dst_node_id}" for message in messages]

    def pull_messages(self, ids):
        if ids == ["id-1"]:
            self.released.wait(30)
        return [answer(7)] if ids == ["id-3"] else []


def answer(node):
    return Message(RecordDict(), node, "train")


def test_a_stuck_and_a_silent_site_hold_up_nobody_beyond_the_deadline():
    grid, began = SlowGrid(), time.monotonic()
    replies = {}
    for reply in exchange(grid, [answer(1), answer(2), answer(3)], seconds=1.0):
        replies[reply.node] = reply
        if reply.node == 3:
            assert time.monotonic() - began < 0.9
    assert time.monotonic() - began < 5
    grid.released.set()
    assert {node: reply.message is None for node, reply in replies.items()} == {
        1: True,
        2: True,
        3: False,
    }
    assert "no answer in" in replies[1].reason
    assert "no answer in" in replies[2].reason


def test_a_message_that_could_not_be_sent_is_said():
    grid = SimpleNamespace(push_messages=lambda messages: [None], pull_messages=lambda ids: [])
    (reply,) = list(exchange(grid, [answer(1)], seconds=1.0))
    assert reply.reason == "the message could not be sent"


def test_what_many_sites_lack_is_one_warning(knobs):
    lacks = SimpleNamespace(calibrated={"bolt": 0, "hose": 9, "clip": 0})
    found = {f"site-{k:02d}": lacks for k in reversed(range(20))}
    found["graz"] = SimpleNamespace(calibrated={"bolt": 0, "hose": 9})
    found["lyon"] = SimpleNamespace(calibrated={"bolt": 9, "hose": 9})
    assert _uncalibrated(read(knobs), found) == [
        "too few good images of bolt for a threshold at score.false-rejects at site graz",
        "too few good images of bolt, clip for a threshold at score.false-rejects at 20 sites: "
        "site-00, site-01, site-02, site-03, site-04 and 15 more",
    ]
