"""R4: whoever answers first, and with however many threads, the same uploads give one bank."""

from itertools import permutations

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord
from flwr.supercore.task_identity import TaskIdentity

from fedad import wire
from fedad.bank_file import save_bank
from fedad.compute import threads
from fedad.config import read
from server_app.registry import SiteLog
from server_app.strategy import OneRound
from tests.conftest import bank_of

SITES = ("aalen", "brno", "cork", "delft", "evora")
ROWS, FEATURES = 240, 160  # 38,400 numbers a site: enough for torch to split the work


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch):
    for part in ("run_id", "node_id", "task_id"):
        monkeypatch.setattr(TaskIdentity, f"_{part}", 1)


@pytest.fixture(scope="module")
def banks():
    found = []
    for number, site in enumerate(SITES):
        rows = np.random.default_rng(number).normal(number, 1, (ROWS, FEATURES))
        bank = bank_of(rows, site, images=number + 3)
        found.append(bank.replace(patches=bank.images * 100))
    return found


def replies(banks):
    found = []
    for bank in banks:
        content = wire.pack_bank(bank)
        content["metrics"] = MetricRecord({"seconds": 0.0})
        content[wire.SITE] = ConfigRecord({"name": bank.sites[0]})
        found.append(Message(content, 1, "train"))
    return found


def merged(messages, folder):
    strategy = OneRound(read({"round.expected": ",".join(SITES), "bank.size": 60}))
    about = {"train": {"bolt": 1}, "test": {"bolt": 1}}
    strategy.sites = {site: SiteLog(1, about) for site in SITES}
    strategy.aggregate_train(1, messages)
    return save_bank(folder / "bank.safetensors", strategy.merged)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_120_orders_of_arrival_give_one_bank(count, banks, tmp_path):
    messages = replies(banks)
    with threads(count):
        found = {merged(order, tmp_path) for order in permutations(messages)}
    with threads(1):
        assert found == {merged(messages, tmp_path)}


def test_another_upload_gives_another_bank(banks, tmp_path):
    other = banks[0].replace(rows=banks[0].rows + 1)
    assert merged(replies(banks), tmp_path) != merged(replies([other, *banks[1:]]), tmp_path)
