"""What the server does for each site, counted: it grows with the sites, not with their square."""

import gc
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import Message, RecordDict

from fedad import wire
from fedad.config import read
from fedad.embedders import handshake
from fedad.judging.findings import Findings
from fedad.methods._sizes import by_group
from fedad.plumbing import alike as alike_file
from fedad.plumbing.alike import Looks, alike, like
from server_app.exchange import ASKED_A_SECOND, exchange
from server_app.kept import Judged, Kept
from tests.conftest import bank_of

NAMES = ["lyon", "LYON", "l yon", "ly\u043en", "graz", "GRA2", "turin", "tunn", "turn", "tum"]


def test_looks_knows_the_same_names_for_alike_as_comparing_all_of_them():
    for name in NAMES:
        others = [other for other in NAMES if other != name]
        known = Looks()
        for other in others:
            known.enter(other)
        found = known.like(name)
        assert bool(found) == bool(like(name, others))
        assert not found or alike(name, found)
        for other in others:
            known.drop(other)
        assert not known.like(name)


def test_a_name_is_looked_at_as_often_among_a_thousand_as_among_ten(monkeypatch):
    looked, plain = [], alike_file._plain
    monkeypatch.setattr(alike_file, "_plain", lambda name: looked.append(name) or plain(name))

    def looks(count):
        looked.clear()
        known = Looks()
        for number in range(count):
            assert not known.like(f"site-{number:04d}")
            known.enter(f"site-{number:04d}")
        return len(looked) / count

    assert looks(1000) < 1.5 * looks(10)


@pytest.mark.parametrize("sites", [3, 4, 50])
def test_the_median_of_probes_is_that_of_all_at_once(sites, monkeypatch):
    rng = np.random.default_rng(sites)
    probes = [rng.normal(size=(6, 32, 5)).astype(np.float32) for _ in range(sites)]
    monkeypatch.setattr(handshake, "AT_ONCE", 1000)
    found = handshake._median(probes)
    np.testing.assert_array_equal(found, np.median(np.stack(probes), axis=0))
    assert found.dtype == np.float32


def test_a_pin_is_the_same_whether_its_directions_were_remembered_or_not(monkeypatch):
    features = np.random.default_rng(0).normal(size=(6, 32, 7)).astype(np.float32)
    known = handshake._sketch(features)
    monkeypatch.setattr(handshake, "REMEMBERED", 0)
    np.testing.assert_array_equal(handshake._sketch(features), known)


def test_findings_that_are_on_disk_are_not_held_too(tmp_path):
    kept = Kept.begin(tmp_path / "run", read({}))
    content = wire.pack_findings(Findings(calibrated={"bolt": 3}))
    gone = weakref.ref(content)
    kept.keep_findings("lyon", content, wire.unpack_findings(content), {})
    del content
    gc.collect()
    assert gone() is None
    again = wire.pack_findings(Findings(calibrated={"bolt": 4}))
    kept.keep_findings("lyon", again, wire.unpack_findings(again), {})
    assert kept.findings.together.calibrated == {"bolt": 4}
    kept.close()


def test_findings_that_are_nowhere_else_are_held():
    judged = Judged()
    for images in (3, 4):
        judged.take("lyon", wire.pack_findings(Findings(calibrated={"bolt": images})))
    assert judged.together.calibrated == {"bolt": 4}


def test_an_upload_is_let_go_of_once_it_is_split_by_product():
    alive = []

    def uploads():
        for number in range(4):
            rows = np.random.default_rng(number).normal(size=(6, 2)).astype(np.float32)
            one = bank_of(rows, f"site-{number}")
            two = one.replace(
                category=np.array([0, 1] * 3, np.int32),
                categories=("bolt", "nut"),
                images=np.array([[1, 1]]),
                patches=np.array([[3, 3]]),
            )
            del one
            alive.append(weakref.ref(two))
            yield two
            del two
            assert sum(one() is not None for one in alive) <= 1

    groups = by_group(read({"bank.scope": "category"}), uploads())
    assert [[bank.sites[0] for bank in group] for group in groups] == [
        [f"site-{number}" for number in range(4)]
    ] * 2
    assert [group[0].categories for group in groups] == [("bolt",), ("nut",)]


def test_a_superlink_is_asked_ten_times_a_second_however_many_sites_are_silent(
    in_a_run,
):
    pulls, sites, ended = [], 60, []
    messages = [Message(RecordDict(), node, "train") for node in range(1, sites + 1)]
    grid = SimpleNamespace(
        push_messages=lambda listed: [str(one.metadata.dst_node_id) for one in listed],
        pull_messages=lambda ids: pulls.append(ids) or messages[:1] * (ids == ["1"] or bool(ended)),
    )
    replies = exchange(grid, messages, seconds=600.0)
    assert next(replies).node == 1
    time.sleep(2.0)
    assert len(pulls) - sites <= 2 * ASKED_A_SECOND + 5  # each once at once, then in turn
    ended.append(True)  # so that no thread goes on
    replies.close()
