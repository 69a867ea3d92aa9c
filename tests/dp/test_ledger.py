"""A site's account: made once, only ever longer, and refused whenever it cannot be believed."""

import shutil
import stat
import threading
from dataclasses import replace

import pytest

from fedad.dp.account import Draw, LedgerError, Terms
from fedad.dp.accounting import epsilon
from fedad.dp.gaussian import multiplier
from fedad.dp.ledger import alone, create, debit, ledgers, read, reconcile
from fedad.dp.receipts import Gaussians, SampledGaussians, Unprotected
from fedad.plumbing.journal import NAME

DELTA = 1e-5
TERMS = Terms("lyon", "bolt", 16.0, DELTA, "image")


def receipt(asked=10.0, unit="image", private=True):
    noise = (multiplier(asked, DELTA),)
    return Gaussians("dp_tree", {"bolt": 300}, asked, DELTA, unit, noise, private)


def draw(run="a", upload="1", stage="train", **of):
    return Draw(run, stage, "m", upload, receipt(**of))


@pytest.fixture
def made(tmp_path):
    return create(tmp_path, TERMS)


def test_a_ledger_remembers_what_was_debited(made, tmp_path):
    assert (made.spent.epsilon, made.left, made.terms) == (0, 16, TERMS)
    assert made.largest == pytest.approx(16)
    debit(made, draw())
    found = read(tmp_path, "lyon", "bolt")
    (only,) = found.debits
    assert only.draw == draw()
    assert not only.late
    assert found.spent.epsilon == pytest.approx(10)
    assert found.left == pytest.approx(6)
    found.check(receipt(found.largest * 0.999))
    with pytest.raises(LedgerError, match="with this one it would be 16"):
        found.check(receipt(found.largest * 1.001))


def test_of_three_releases_the_third_does_not_fit(made):
    """Two of epsilon 10 cost 15.46 together, and three 20.1."""
    for run in "ab":
        made.check(receipt())
        made = debit(made, draw(run, upload=run))
    assert made.spent.epsilon == pytest.approx(15.46, abs=0.005)
    with pytest.raises(
        LedgerError, match=r"epsilon 16 at delta 1e-05: 15.5 is spent by 2 releases, .* be 20.1"
    ):
        made.check(receipt())


def test_the_budget_to_its_last_bit_can_be_spent(tmp_path):
    for asked in (0.3, 1.0, 2.0, 5.0, 10.0):
        create(tmp_path, replace(TERMS, product=f"p{asked}", epsilon=asked)).check(receipt(asked))


@pytest.mark.parametrize(
    "one", [Unprotected("keep", {"bolt": 3}), receipt(0.1, private=False)], ids=["keep", "seeded"]
)
def test_what_protects_nothing_never_fits(made, one):
    with pytest.raises(LedgerError, match="it would be inf"):
        made.check(one)


def test_another_unit_than_the_ledgers_is_refused(made):
    with pytest.raises(
        LedgerError, match="hides one part of 'bolt', and the ledger is about image"
    ):
        made.check(receipt(0.1, unit="part"))


def test_steps_over_samples_are_charged_too(made):
    one = SampledGaussians("dp_sgd", {"bolt": 305}, 10, DELTA, "image", 1.04, 0.21, 50, True)
    made.check(one)
    made = debit(made, replace(draw(), receipt=one))
    assert made.spent.epsilon == epsilon([one], DELTA).epsilon
    with pytest.raises(LedgerError, match="would be"):
        made.check(receipt(15))


def test_the_same_answer_is_debited_once(made):
    for _ in range(3):
        made = debit(made, draw())
    assert len(made.debits) == 1
    with pytest.raises(LedgerError, match="was debited for other bytes"):
        debit(made, draw(upload="2"))
    assert len(debit(made, draw("b", upload="1")).debits) == 1  # the same bytes tell nothing new
    assert len(debit(made, draw(stage="train-2", upload="3")).debits) == 2


def test_a_seal_without_a_debit_is_debited_late(made):
    made = debit(made, draw())
    made = reconcile(made, [draw(), draw("b", upload="2")])
    assert [(one.draw.run, one.late) for one in made.debits] == [("a", False), ("b", True)]
    assert reconcile(made, [draw("b", upload="2")]) == made


def test_there_is_one_ledger_of_a_product_and_it_stays(made, tmp_path):
    debit(made, draw())
    with pytest.raises(LedgerError, match="what is spent stays spent"):
        create(tmp_path, replace(TERMS, epsilon=1000.0))
    assert read(tmp_path, "lyon", "bolt").left == pytest.approx(6)


def test_nobody_makes_one_on_the_way(made, tmp_path):
    for site, product in (("lyon", "hose"), ("graz", "bolt")):
        with pytest.raises(LedgerError, match=r"there is no ledger .*`fedad privacy init`"):
            read(tmp_path, site, product)
    assert [path.name for path in ledgers(tmp_path)] == ["bolt"]


@pytest.mark.parametrize("name", ["../bolt", "", ".hidden", "a/b", "all sites"])
def test_a_name_leads_nowhere_else(name, tmp_path):
    with pytest.raises(LedgerError, match="no name of a product"):
        create(tmp_path, replace(TERMS, product=name))
    with pytest.raises(LedgerError, match="no name of a site"):
        read(tmp_path, name, "bolt")


@pytest.mark.parametrize(
    "terms",
    [
        {"epsilon": 0.0},
        {"epsilon": float("inf")},
        {"epsilon": float("nan")},
        {"delta": 0.0},
        {"delta": 1.0},
        {"unit": "pixel"},
    ],
)
def test_terms_that_cannot_be_are_refused(terms, tmp_path):
    with pytest.raises(LedgerError, match="expected"):
        create(tmp_path, replace(TERMS, **terms))
    assert not (tmp_path / "lyon").exists()


def lines_of(made):
    return (made.folder / NAME).read_bytes().splitlines(keepends=True)


def swap(lines):
    return [lines[0], lines[2], lines[1]]


BREAKS = {
    "a cheaper receipt": lambda lines: [
        lines[0],
        lines[1].replace(b'"private": true', b'"private": 1'),
    ],
    "another budget": lambda lines: [lines[0].replace(b"16.0", b"99.0"), *lines[1:]],
    "a line out": lambda lines: [lines[0], lines[2]],
    "two changed places": swap,
    "no first line": lambda lines: lines[1:],
    "empty": lambda lines: [],
    "bytes": lambda lines: [b"\xff" * 40 + b"\n"],
    "zeros": lambda lines: [b"\0" * 400],
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_ledger_that_was_changed_is_refused(how, made, tmp_path):
    for run in "ab":
        debit(made, draw(run, upload=run))
    (made.folder / NAME).write_bytes(b"".join(BREAKS[how](lines_of(made))))
    for use in (lambda: read(tmp_path, "lyon", "bolt"), lambda: debit(made, draw("c", upload="3"))):
        with pytest.raises(LedgerError, match="cannot be believed") as refused:
            use()
        assert "\n" not in str(refused.value)


def test_an_unknown_receipt_in_a_ledger_is_not_free(made, tmp_path):
    from fedad.plumbing.journal import Journal

    journal = Journal.reopen(made.folder)
    told = {"run": "a", "stage": "train", "mark": "m", "upload": "1", "time": 1.0, "late": False}
    journal.note("debit", **told, receipt={"kind": "Laplaces", "release": "x", "images": {}})
    journal.close()
    with pytest.raises(LedgerError, match=r"cannot be believed.*'Laplaces'"):
        read(tmp_path, "lyon", "bolt")


def test_a_ledger_of_something_else_is_refused(made, tmp_path):
    shutil.copytree(made.folder, made.folder.with_name("hose"))
    with pytest.raises(LedgerError, match="it is of 'bolt' at 'lyon': was it moved here"):
        read(tmp_path, "lyon", "hose")


def test_a_line_that_a_crash_cut_short_never_was(made, tmp_path):
    debit(made, draw())
    whole = b"".join(lines_of(made))
    (made.folder / NAME).write_bytes(whole[:-9])
    assert read(tmp_path, "lyon", "bolt").debits == ()
    assert [one.draw for one in reconcile(made, [draw()]).debits] == [draw()]


def test_an_older_copy_is_brought_up_to_date_by_what_is_sealed(made, tmp_path):
    older = (made.folder / NAME).read_bytes()
    debit(made, draw())
    (made.folder / NAME).write_bytes(older)
    reconcile(read(tmp_path, "lyon", "bolt"), [draw()])
    assert read(tmp_path, "lyon", "bolt").left == pytest.approx(6)


def test_a_full_disk_debits_nothing_and_says_so(made, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fedad.plumbing.journal.os.write", full)
        with pytest.raises(LedgerError, match=r"nothing can be debited .*No space left"):
            debit(made, draw())
    assert read(tmp_path, "lyon", "bolt").debits == ()


def test_only_its_owner_reads_it(made, tmp_path):
    debit(made, draw())
    with alone(tmp_path, "lyon"):
        pass
    found = [tmp_path / "lyon", *(tmp_path / "lyon").rglob("*")]
    assert len(found) == 4
    for path in found:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_two_that_draw_at_once_wait_for_each_other(made, tmp_path):
    """Each looks whether its draw fits, then debits: without the lock both would fit."""
    refused = []

    def spend(run):
        with alone(tmp_path, "lyon"):
            ledger = read(tmp_path, "lyon", "bolt")
            try:
                ledger.check(receipt(12))
            except LedgerError:
                refused.append(run)
            else:
                debit(ledger, draw(run, upload=run, asked=12))

    threads = [threading.Thread(target=spend, args=(f"{k}",)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 5
    assert len(read(tmp_path, "lyon", "bolt").debits) == 1
