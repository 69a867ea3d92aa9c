"""R4: whoever answers first, and with however many threads, the same uploads give one bank."""

from itertools import permutations

import numpy as np
import pytest

from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.messages.file import save
from fedad.plumbing.compute import threads
from server_app.strategy import MethodStrategy
from tests.conftest import bank_of

SITES = ("aalen", "brno", "cork", "delft", "evora")
ROWS, FEATURES = 240, 160  # 38,400 numbers a site: enough for torch to split the work


@pytest.fixture(scope="module")
def banks():
    found = []
    for number, site in enumerate(SITES):
        rows = np.random.default_rng(number).normal(number, 1, (ROWS, FEATURES))
        bank = bank_of(rows, site, images=number + 3)
        found.append(bank.replace(patches=bank.images * 100))
    return found


def merged(banks, folder):
    """The checksum of the bank that comes of uploads in this order of arrival."""
    strategy = MethodStrategy(read({"round.expected": ",".join(SITES), "bank.size": 60}))
    for bank in banks:
        strategy.kept.keep_upload(bank.sites[0], wire.unpack(wire.pack(bank), Bank), {})
    strategy.aggregate_train(1, [])
    return save(folder / "bank.safetensors", strategy.model)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_120_orders_of_arrival_give_one_bank(count, banks, tmp_path):
    with threads(count):
        found = {merged(order, tmp_path) for order in permutations(banks)}
    with threads(1):
        assert found == {merged(banks, tmp_path)}


def test_another_upload_gives_another_bank(banks, tmp_path):
    other = banks[0].replace(rows=banks[0].rows + 1)
    assert merged(banks, tmp_path) != merged([other, *banks[1:]], tmp_path)
