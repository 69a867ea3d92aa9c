"""One draw, debited once: whatever is killed, and whenever."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, RecordDict

from client_app.draws import UPLOAD
from client_app.sealed import KEPT, forget_old
from client_app.site import Node
from client_app.spending import Spending
from fedad.config import read as read_config
from fedad.dp.account import Terms
from fedad.dp.gaussian import multiplier
from fedad.dp.ledger import create, read
from fedad.dp.noise import OsNoise
from fedad.dp.receipts import Gaussians, Unprotected, as_json
from fedad.errors import ConfigError
from fedad.messages.file import checksum
from fedad.messages.file import save as save_payload
from fedad.plumbing.files import write_json
from fedad.plumbing.journal import NAME
from fedad.policy import Policy, PolicyError, audit_of
from fedad.types import Sample, Site
from tests.conftest import bank_of

RUN, OTHER = "a" * 32, "b" * 32
MADE_OF = "m" * 64
PRODUCTS = ("bolt", "hose")
NOISE = (multiplier(1, 1e-5),)


class Plant:
    """A site of two products whose releases are one number of noise."""

    def __init__(self, folder: Path, *, total: float = 3.0, **policy):
        self.folder, self.root, self.drawn = folder / "own", folder / "own" / "ledger", 0
        self.policy = Policy(**policy)
        samples = tuple(Sample(name, "train", "good", folder / f"{name}.png") for name in PRODUCTS)
        site = Site("lyon", samples, ())
        config = read_config({"privacy.release": "dp_tree", "dp_tree.epsilon": 1.0})
        self.node = Node(site, self.folder, config, simulated=False, policy=self.policy)
        self.kind = Gaussians("dp_tree", dict.fromkeys(PRODUCTS, 1), 1, 1e-5, "image", NOISE, True)
        if total:
            for name in PRODUCTS:
                create(self.root, Terms("lyon", name, total, 1e-5, "image"))

    def spending(self, run=RUN, number=1):
        return Spending(self.root, self.node, run, number, self.policy, f"{run}/1")

    def ask(self, run=RUN, made_of=MADE_OF, number=1) -> bytes:
        """What leaves the site: the bytes of its answer."""

        def make():
            self.drawn += 1
            kept = bank_of(np.zeros((1, 4)))
            save_payload(self.folder / run / "own.safetensors", kept, listing="")
            write_json(self.folder / run / "receipt.json", as_json(self.kind))
            return RecordDict({"bank": ArrayRecord({"rows": Array(OsNoise().normal((5,)))})})

        content = self.spending(run, number).once(made_of, make, lambda made_of: None)
        return content["bank"]["rows"].data

    def debits(self, product="bolt"):
        return read(self.root, "lyon", product).debits

    def refused(self):
        return [one["told"] for one in audit_of(self.folder) if one["event"] == "refused"]


@pytest.fixture
def plant(tmp_path):
    return Plant(tmp_path)


def test_a_release_is_debited_of_each_product_and_sent_again_for_nothing(plant):
    first = plant.ask()
    assert plant.ask() == first
    assert plant.drawn == 1
    for name in PRODUCTS:
        (only,) = plant.debits(name)
        assert only.draw.upload == checksum(plant.folder / RUN / UPLOAD)
        assert (only.draw.run, only.draw.stage, only.draw.receipt) == (RUN, "train", plant.kind)
    assert [one["event"] for one in audit_of(plant.folder)] == ["debited"] * 2
    assert plant.ask(OTHER) != first
    assert len(plant.debits()) == 2


def test_the_third_release_is_refused_before_it_is_drawn(plant):
    """Of epsilon 1 three cost 1.83: this budget has room for two, which cost 1.47."""
    for name in PRODUCTS:
        shutil.rmtree(plant.root / "lyon" / name)
        create(plant.root, Terms("lyon", name, 1.5, 1e-5, "image"))
    for run in (RUN, OTHER):
        plant.ask(run)
    with pytest.raises(PolicyError, match=r"1.47 is spent by 2 releases, .* it would be 1.8"):
        plant.ask("c" * 32)
    assert (plant.drawn, len(plant.debits())) == (2, 2)
    assert len(plant.refused()) == 1
    plant.ask()  # what was given is given


def test_without_a_ledger_nothing_is_drawn(tmp_path):
    plant = Plant(tmp_path, total=0)
    with pytest.raises(PolicyError, match="there is no ledger of 'bolt'") as refused:
        plant.ask()
    assert refused.value.reason == "ledger"
    assert plant.drawn == 0
    assert len(plant.refused()) == 1


def test_where_there_is_a_ledger_nothing_leaves_without_privacy(plant):
    keep = read_config({})
    plant.node = replace(plant.node, config=keep)
    plant.kind = Unprotected("keep", {"bolt": 1})
    with pytest.raises(PolicyError, match="it would be inf"):
        plant.ask()
    assert plant.drawn == 0


def test_what_was_drawn_otherwise_than_planned_is_not_sealed(plant):
    """A release that costs more than was asked for, or seeded noise, is thrown away unseen."""
    for kind in (replace(plant.kind, noise=(0.2,)), replace(plant.kind, private=False)):
        plant.kind = kind
        with pytest.raises(PolicyError, match="it would be"):
            plant.ask()
    assert plant.drawn == 2
    assert not (plant.folder / RUN / UPLOAD).exists()
    assert plant.debits() == ()


def test_a_debit_whose_seal_is_lost_or_broken_is_refused(plant):
    plant.ask()
    seal = plant.folder / RUN / UPLOAD
    whole = seal.read_bytes()
    seal.write_bytes(whole[:-3])
    with pytest.raises(PolicyError, match="a draw is not made anew"):
        plant.ask()
    seal.unlink()
    with pytest.raises(PolicyError, match="it was debited and is not there any more"):
        plant.ask()
    assert plant.drawn == 1
    assert len(plant.refused()) == 2
    seal.write_bytes(whole)
    plant.ask()
    assert (plant.drawn, len(plant.debits())) == (1, 1)


def test_a_seal_that_was_put_in_anothers_place_is_refused(plant):
    plant.ask()
    plant.ask(OTHER)
    shutil.copy(plant.folder / OTHER / UPLOAD, plant.folder / RUN / UPLOAD)
    with pytest.raises(PolicyError, match="debited for other bytes"):
        plant.ask()


def test_a_ledger_that_was_changed_stops_all(plant):
    plant.ask()
    path = plant.root / "lyon" / "hose" / NAME
    path.write_text(path.read_text().replace("debit", "dubit"))
    with pytest.raises(PolicyError, match="cannot be believed"):
        plant.ask(OTHER)
    assert plant.drawn == 1


def test_a_run_that_asks_for_something_else_is_refused(plant):
    plant.ask()
    with pytest.raises(ConfigError, match="asked for something else before"):
        plant.ask(made_of="n" * 64)
    assert plant.drawn == 1


def test_a_policy_bounds_the_number_of_releases(tmp_path):
    plant = Plant(tmp_path, total=100, releases_in_all=1)
    plant.ask()
    plant.ask()
    with pytest.raises(PolicyError, match=r"releases-in-all.*1 releases have been made"):
        plant.ask(OTHER)
    assert len(plant.refused()) == 1


def test_a_run_that_asks_the_same_is_given_the_release_again_if_the_policy_says_so(
    tmp_path, monkeypatch
):
    plant = Plant(tmp_path, reuse_releases=True)
    monkeypatch.setattr("client_app.spending.hold", lambda *_: "")
    first = plant.ask()
    assert plant.ask(OTHER) == first
    assert plant.ask(OTHER) == first
    assert (plant.drawn, len(plant.debits())) == (1, 1)
    plant.ask("c" * 32, made_of="n" * 64)  # other settings
    monkeypatch.setattr("client_app.spending.hold", lambda *_: "of other images")
    plant.ask("d" * 32)
    assert (plant.drawn, len(plant.debits())) == (3, 3)


def test_old_runs_are_forgotten_and_what_they_cost_is_not(plant):
    for name in PRODUCTS:
        shutil.rmtree(plant.root / "lyon" / name)
        create(plant.root, Terms("lyon", name, 100.0, 1e-5, "image"))
    plant.policy = Policy(releases_in_all=100)
    for number in range(KEPT + 2):
        plant.ask(f"{number:032x}")
        forget_old(plant.folder)
    assert not (plant.folder / f"{0:032x}").exists()
    assert len(plant.debits()) == KEPT + 2
    with pytest.raises(PolicyError, match="is not there any more"):
        plant.ask(f"{0:032x}")


# A child is forked, so that it need not start; it is killed at the k-th step it takes on disk.

STEPS = ("os.rename", "os.remove", "os.mkdir", "open", "fcntl.flock", "os.truncate")
_kill_at = [0]  # steps until the end; 0: never


def step(event: str = "", args: object = ()) -> None:
    if _kill_at[0] and (not event or event in STEPS):
        _kill_at[0] -= 1
        if not _kill_at[0]:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(step)


def child(plant: Plant, sent: Path, steps: int) -> int:
    """Ask in a process of its own; what leaves is a line of `sent`. Returns how it ended."""
    if (pid := os.fork()) == 0:
        try:
            for name in ("write", "fsync", "ftruncate"):
                setattr(os, name, counted(getattr(os, name)))
            _kill_at[0] = steps
            answer = plant.ask()
            with sent.open("ab") as file:
                file.write(answer.hex().encode() + b"\n")
            os._exit(0)
        finally:
            os._exit(99)
    return pid


def counted(call):
    def stepped(*args):
        step()
        done = call(*args)
        step()
        return done

    return stepped


@pytest.fixture
def no_waiting(monkeypatch):
    """What a killed process wrote stays in memory that is not its own, flushed or not: flushing
    is counted as a step, and not waited for."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def check(plant: Plant, sent: Path) -> None:
    """What has left so far is one draw, and it was debited before."""
    left = set(sent.read_text().split()) if sent.exists() else set()
    assert len(left) <= 1
    for name in PRODUCTS:
        assert len(plant.debits(name)) <= 1
        if left:
            (only,) = plant.debits(name)
            assert only.draw.upload == checksum(plant.folder / RUN / UPLOAD)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_every_step_it_is_one_draw_debited_once(tmp_path):
    """At each step on disk in turn, until no step is left; then it is asked twice more."""
    killed = 0
    for steps in range(1, 400):
        plant, sent = Plant(tmp_path / str(steps)), tmp_path / f"{steps}.sent"
        _, status = os.waitpid(child(plant, sent, steps), 0)
        check(plant, sent)
        for _ in range(2):
            assert os.waitpid(child(plant, sent, 0), 0)[1] == 0
            check(plant, sent)
        assert all(len(plant.debits(name)) == 1 for name in PRODUCTS)
        shutil.rmtree(tmp_path / str(steps))
        if not os.WIFSIGNALED(status):
            break
        killed += 1
    assert killed >= 50, "fewer steps than a release takes: was it killed at all?"


@pytest.mark.reliability
@pytest.mark.usefixtures("no_waiting")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_any_time_it_is_one_draw_debited_once(tmp_path):
    """At a random time, again and again over the same release, from outside."""
    began = time.perf_counter()
    plant = Plant(tmp_path / "first")
    os.waitpid(child(plant, tmp_path / "first.sent", 0), 0)
    usual = time.perf_counter() - began
    rng, killed = random.Random(7), 0
    for number in range(25):
        plant, sent = Plant(tmp_path / str(number)), tmp_path / f"{number}.sent"
        for _ in range(2):
            pid = child(plant, sent, 0)
            time.sleep(rng.uniform(0, usual))
            os.kill(pid, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
            check(plant, sent)
        assert os.waitpid(child(plant, sent, 0), 0)[1] == 0
        check(plant, sent)
        assert all(len(plant.debits(name)) == 1 for name in PRODUCTS)
    assert killed >= 10
