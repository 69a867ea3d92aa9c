"""A hostile server asks again and again: answers are few, are of many images, and tell little."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict

from client_app import app as client_module
from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.deploy.site_folders import split
from fedad.evaluation.counts import IMAGES
from fedad.judging.groups import OTHERS, cell_of, countable, counted_as
from fedad.partition import partition
from fedad.policy import Policy, PolicyError, Warden, audit_of
from fedad.types import Sample
from tests.conftest import LENIENT, draw_category

pytestmark = pytest.mark.usefixtures("in_a_run")


class Plant:
    """One factory, and the server that asks it."""

    def __init__(self, node, knobs):
        self.node, self.knobs, self.number = node, {**knobs, "score.replicates": 2}, 0

    def ask(self, kind: str, key: str, content: RecordDict | None = None, **knobs) -> RecordDict:
        self.number += 1
        run_config = {**self.knobs, **knobs}
        context = Context(1, 1, self.node, RecordDict(), run_config)
        asked = RecordDict({**(content or {})})
        asked[wire.RUN] = ConfigRecord({"key": key, "round": 1})
        return client_module.app(Message(asked, 1, kind), context).content

    def bank(self, key: str) -> Bank:
        return wire.unpack(self.ask("train", key), Bank)

    def refusals(self) -> list[str]:
        return [one["line"] for one in audit_of(self.folder) if one["event"] == "refused"]

    @property
    def folder(self) -> Path:
        return Path(self.node["output-dir"])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two products of which a site has 6 good and 6 blotted test images, and 7 to learn from."""
    root = tmp_path_factory.mktemp("drawn")
    for category in ("bolt", "hose"):
        draw_category(root / category, category, train=7, test=6)
    config = read({"data.dataset": "autovi", "data.dir": str(root)})
    sites = partition(open_dataset(config.data), config.data, seed=0)
    return split(sites[:1], tmp_path_factory.mktemp("plant"))[0]


@pytest.fixture
def plant(drawn, factory, knobs, tmp_path):
    """The factory with the default policy, but for what the small network needs."""
    policy = tmp_path / "policy.toml"
    small = [line for line in LENIENT.splitlines() if not line.startswith(("smallest", "runs"))]
    policy.write_text("\n".join(small))
    return Plant(factory("graz", drawn, tmp_path / "own", policy=str(policy)), knobs)


def key(number: int) -> str:
    return f"{number:032x}"


def moved(bank: Bank, by: float) -> RecordDict:
    return wire.pack(bank.replace(rows=bank.rows + np.float32(by)))


def test_new_keys_give_no_new_answers(plant):
    """Five more keys gave 50 more distance answers."""
    bank, answered = plant.bank(key(0)), 0
    for run in range(6):
        plant.ask("train", key(run))
        for turn in range(10):
            content = plant.ask("query.coverage", key(run), moved(bank, run + turn / 100))
            answered += wire.REFUSAL not in content
    assert answered == 2
    refused = Counter(plant.refusals())
    assert refused["runs-a-day"] >= 2 * 10  # the fifth key and the sixth
    assert refused["coverage-a-day"] >= 3 * 10
    begun = {one["run"] for one in audit_of(plant.folder) if one["event"] == "begun"}
    assert len(begun) == 4


def test_a_product_at_a_time_is_no_way_round(plant):
    """Every product has its own account, and one of no run is on all."""
    for number in range(4):
        plant.ask("query", key(number), **{"data.categories": "bolt"})
    answer = plant.ask("query", key(9), **{"data.categories": "bolt"})
    assert answer[wire.REFUSAL]["reason"] == "runs-a-day"
    assert wire.REFUSAL not in plant.ask("query", key(10), **{"data.categories": "hose"})
    assert plant.ask("query", key(11))[wire.REFUSAL]["reason"] == "runs-a-day"


def test_the_same_question_is_answered_as_sealed_and_costs_nothing(plant):
    bank = plant.bank(key(0))
    first = plant.ask("query.coverage", key(0), wire.pack(bank))
    for _ in range(5):
        again = plant.ask("query.coverage", key(0), wire.pack(bank))
        assert again["distances"] == first["distances"]
    assert plant.refusals() == []


def test_a_run_has_one_upload_a_round_and_one_judgement(plant):
    bank = plant.bank(key(0))
    assert wire.REFUSAL not in plant.ask("evaluate", key(0), wire.pack(bank))
    for by in (0.1, 0.2):
        assert wire.REFUSAL in plant.ask("evaluate", key(0), moved(bank, by))
    for ratio in (0.1, 0.2):
        assert wire.REFUSAL in plant.ask("train", key(0), **{"coreset.local-ratio": ratio})
    for path in plant.folder.rglob("findings.safetensors"):  # even where the seal is lost
        path.unlink()
    assert plant.ask("evaluate", key(0), moved(bank, 0.3))[wire.REFUSAL]["reason"] == "runs-a-day"
    assert wire.REFUSAL not in plant.ask("evaluate", key(0), wire.pack(bank))


def test_a_few_images_held_out_say_nothing(plant):
    """`data.holdout = 0.13` of 8 images returned one image's distance to seven digits."""
    bank = plant.bank(key(0))
    held = {"data.holdout": 0.15}  # one image of seven
    plant.ask("train", key(1), **held)
    content = plant.ask("query.coverage", key(1), wire.pack(bank), **held)
    assert wire.unpack_distances(content) == {}
    found = wire.unpack_findings(plant.ask("evaluate", key(1), wire.pack(bank), **held))
    assert set(found.calibrated.values()) == {0}
    assert not found.decisions


def test_distances_have_two_digits(plant):
    told = wire.unpack_distances(plant.ask("query.coverage", key(0), wire.pack(plant.bank(key(0)))))
    assert told
    assert all(float(f"{value:.2g}") == value for value in told.values())


def test_a_bank_of_invented_sites_is_not_answered(plant):
    """2,000 invented names turned the counts by nearest site into a histogram of every patch."""
    bank = plant.bank(key(0))
    names = ("graz", *(f"site-{k:04d}" for k in range(2000)))
    many = Bank(
        **{
            **vars(bank.take(np.arange(len(bank)))),
            "sites": names,
            "site": (np.arange(len(bank)) % len(names)).astype(np.int32),
            **{name: np.repeat(getattr(bank, name), len(names), 0) for name in bank.tables},
        }
    )
    for kind in ("evaluate", "query.coverage"):
        answer = plant.ask(kind, key(0), wire.pack(many))
        assert answer[wire.REFUSAL]["reason"] == "largest-federation"


def test_a_bank_without_what_the_site_gave_is_not_answered(plant):
    bank = plant.bank(key(0))
    for without in (
        bank.replace(sites=("lyon",)),
        bank.take(np.flatnonzero(bank.category == 0)),  # none of its rows of one product
    ):
        answer = plant.ask("evaluate", key(0), wire.pack(without))
        assert answer[wire.REFUSAL]["reason"] == "largest-federation"
    assert wire.REFUSAL not in plant.ask("evaluate", key(0), wire.pack(bank))


def test_behind_each_number_that_leaves_are_enough_images(plant):
    bank = plant.bank(key(0))
    found = wire.unpack_findings(plant.ask("evaluate", key(0), wire.pack(bank)))
    totals = found.counts.totals()
    assert totals[:, IMAGES].min() >= 5
    assert all(made.good >= 5 and made.defective >= 5 for made in found.decisions.values())
    assert all(images >= 5 or images == 0 for images in found.calibrated.values())
    for made in found.borrowed.values():
        assert made.good == 0 or made.good >= 5
        assert made.defective == 0 or made.defective >= 5


def test_of_a_product_with_few_test_images_nothing_leaves(drawn, factory, knobs, tmp_path):
    policy = tmp_path / "policy.toml"
    small = [line for line in LENIENT.splitlines() if not line.startswith("smallest")]
    policy.write_text("\n".join([*small, "smallest-group = 7"]))
    plant = Plant(factory("graz", drawn, tmp_path / "own", policy=str(policy)), knobs)
    about = json.loads(str(plant.ask("query", key(0))["about"]["json"]))
    assert about["test"] == {}
    assert about["withheld"] == ["bolt", "hose"]


def samples(**counts: int) -> list[Sample]:
    return [
        Sample("bolt", "test", defect, Path(f"{defect}-{k}.png"))
        for defect, images in counts.items()
        for k in range(images)
    ]


@pytest.mark.parametrize(
    ("counts", "joined"),
    [
        ({"good": 9, "dent": 2, "crack": 1}, {"dent", "crack"}),
        ({"good": 9, "dent": 5, "crack": 6}, set()),
        ({"good": 9, "dent": 2}, set()),  # alone it keeps its name, where it may be said at all
        ({"good": 9, "dent": 2, "crack": 7, "scratch": 8}, {"dent", "crack"}),
        ({"good": 9, "dent": 2, "crack": 3, "scratch": 8}, {"dent", "crack"}),
        ({"good": 2, "dent": 8}, set()),
    ],
)
def test_defects_with_few_images_are_counted_together(counts, joined):
    some = samples(**counts)
    groups = counted_as(some)
    assert {cell.defect for cell, group in groups.items() if group.defect == OTHERS} == joined
    left = countable(some, 5)
    sizes = Counter(counted_as(some)[cell_of(one)] for one in left)
    assert all(images >= 5 for images in sizes.values())
    every = Counter(groups[cell_of(one)] for one in some)
    assert len(some) - len(left) == sum(images for images in every.values() if images < 5)


def test_two_tasks_at_once_share_one_account(plant):
    """SuperExec may start several at a time: none of them slips through."""

    def begin(number: int) -> int:
        try:
            Warden(Policy(), plant.folder).admit(f"{key(number)}/1", ["bolt"])
        except PolicyError:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(begin, range(64))) == 4
