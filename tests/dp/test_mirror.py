"""A second copy of a ledger, elsewhere: an older ledger that was put back is found out."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from client_app.own import mirror_of
from fedad.dp import mirror
from fedad.dp.account import LedgerError
from fedad.dp.ledger import read
from fedad.plumbing.journal import NAME
from fedad.policy import PolicyError
from tests.dp.test_spending import OTHER, PRODUCTS, RUN, Plant


class Mirrored(Plant):
    """The site, with a copy of its ledgers that a restored backup does not touch."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.copy = folder / "elsewhere"
        copytree(self.root, self.copy)

    def spending(self, run=RUN, number=1):
        return replace(super().spending(run, number), mirror=self.copy)

    def lines(self, root):
        return [(root / "lyon" / name / NAME).read_text() for name in PRODUCTS]


@pytest.fixture
def plant(tmp_path):
    return Mirrored(tmp_path)


def put_back(plant, kept):
    rmtree(plant.folder)
    copytree(kept, plant.folder)


def test_a_mirror_follows_each_debit(plant):
    plant.ask()
    assert plant.lines(plant.copy) == plant.lines(plant.root)
    assert all(text.count("\n") == 2 for text in plant.lines(plant.copy))
    plant.ask(OTHER)
    assert plant.lines(plant.copy) == plant.lines(plant.root)


def test_older_copies_of_ledger_and_seals_are_refused(plant, tmp_path):
    """Without the mirror the second release would be drawn anew, and its budget spent again."""
    plant.ask()
    copytree(plant.folder, tmp_path / "backup")
    plant.ask(OTHER)
    put_back(plant, tmp_path / "backup")
    for run in (RUN, OTHER, "c" * 32):
        with pytest.raises(PolicyError, match="older than its mirror") as refused:
            plant.ask(run)
        assert refused.value.reason == "ledger"
    assert plant.drawn == 2
    assert len(plant.debits()) == 1


def test_without_a_mirror_they_are_not(tmp_path):
    """What is left to see where a site gives none: docs/privacy.md says so."""
    plant = Plant(tmp_path)
    plant.ask()
    copytree(plant.folder, tmp_path / "backup")
    first = plant.ask(OTHER)
    put_back(plant, tmp_path / "backup")
    assert plant.ask(OTHER) != first
    assert (plant.drawn, len(plant.debits())) == (3, 2)


def test_a_ledger_begun_anew_is_another(plant, tmp_path):
    plant.ask()
    for name in PRODUCTS:
        rmtree(plant.root / "lyon" / name)
    fresh = Plant(tmp_path / "fresh")
    copytree(fresh.root, plant.root, dirs_exist_ok=True)
    with pytest.raises(PolicyError, match="another than its mirror"):
        plant.ask(OTHER)


def test_the_newest_copy_mends_it(plant, tmp_path):
    plant.ask()
    copytree(plant.folder, tmp_path / "backup")
    second = plant.ask(OTHER)
    seals = tmp_path / "seals"
    copytree(plant.folder / OTHER, seals)
    put_back(plant, tmp_path / "backup")
    rmtree(plant.root)
    copytree(plant.copy, plant.root)
    with pytest.raises(PolicyError, match="is not there any more"):
        plant.ask(OTHER)  # its seal is gone: nothing is drawn in its place
    copytree(seals, plant.folder / OTHER)
    assert plant.ask(OTHER) == second


def test_a_crash_between_debit_and_mirror_is_made_good(plant):
    plant.ask()
    behind = plant.lines(plant.copy)
    plant.ask(OTHER)
    for name, text in zip(PRODUCTS, behind, strict=True):
        (plant.copy / "lyon" / name / NAME).write_text(text)
    plant.ask(OTHER)
    assert plant.lines(plant.copy) == plant.lines(plant.root)
    assert len(plant.debits()) == 2


def test_a_torn_line_is_no_other_ledger(plant):
    plant.ask()
    with (plant.root / "lyon" / "bolt" / NAME).open("a") as file:
        file.write("0123")
    mirror.follow(read(plant.root, "lyon", "bolt"), plant.copy)
    assert not plant.lines(plant.copy)[0].endswith("0123")
    plant.ask(OTHER)
    assert plant.lines(plant.copy) == plant.lines(plant.root)


def test_without_the_copy_that_the_site_names_nothing_is_drawn(plant):
    rmtree(plant.copy)
    with pytest.raises(PolicyError, match="cp -r LEDGER MIRROR"):
        plant.ask()
    assert plant.drawn == 0


def test_a_mirror_that_cannot_be_written_is_one_line(plant, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    plant.ask()
    monkeypatch.setattr(mirror, "write_atomic", full)
    with pytest.raises(PolicyError, match="the mirror cannot be written"):
        plant.ask(OTHER)
    monkeypatch.undo()
    plant.ask(OTHER)  # sealed and debited already: it was not sent before
    assert (plant.drawn, len(plant.debits())) == (2, 2)


def test_node_config_names_it():
    assert mirror_of({}) is None
    assert mirror_of({"ledger-mirror": "/mnt/other"}) == Path("/mnt/other")


def test_a_check_by_hand_names_both(plant):
    plant.ask()
    ledger = read(plant.root, "lyon", "bolt")
    mirror.check(ledger, plant.copy)
    path = plant.copy / "lyon" / "bolt" / NAME
    path.write_text(path.read_text() + "more\n")
    with pytest.raises(LedgerError, match="1 debits, and 2 there"):
        mirror.check(ledger, plant.copy)
