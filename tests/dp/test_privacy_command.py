"""`fedad privacy init` and `show`: a budget is made once, and what is spent is told in words."""

import json
import subprocess
import sys
import time

import pytest

from fedad.dp.account import Draw
from fedad.dp.accounting import epsilon
from fedad.dp.gaussian import multiplier
from fedad.dp.ledger import debit, read
from fedad.dp.receipts import Gaussians, SampledGaussians
from fedad.plumbing.journal import NAME

RUN = "a" * 32
WORDS = ("--site", "lyon", "--product", "bolt", "--epsilon", 16)
TREE = Gaussians("dp_tree", {"bolt": 9}, 10, 1e-5, "image", (multiplier(10, 1e-5),), True)
STEPS = SampledGaussians("dp_sgd", {"bolt": 305}, 1, 1e-5, "image", 5.86, 0.21, 50, True)


@pytest.fixture
def made(fedad, tmp_path):
    code, _, said = fedad("privacy", "init", tmp_path / "own", *WORDS)
    assert code == 0
    assert "may spend epsilon 16 in all, at delta 1e-05, by add/remove of one image" in said
    return tmp_path / "own"


def test_what_is_spent_and_left_is_told_in_words(fedad, made):
    _, _, said = fedad("privacy", "show", made)
    assert "bolt at lyon: epsilon 0 of 16 spent by 0 releases, 16 left" in said
    debit(read(made, "lyon", "bolt"), Draw(RUN, "train", "m", "1", TREE), late=True)
    _, _, said = fedad("privacy", "show", made)
    assert "bolt at lyon: epsilon 10 of 16 spent by 1 release, 6 left" in said
    assert "at delta 1e-05, by add/remove of one image (replacing one costs about twice)" in said
    assert "by the accountant analytic Gaussian" in said
    largest = read(made, "lyon", "bolt").largest
    assert f"one more release may cost up to epsilon {largest:.3g}" in said
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert f"{today} " in said
    assert f"dp_tree: epsilon 10 by itself, 1 Gaussian sum, run {RUN} (train), debited" in said


def test_json_says_the_same(fedad, made):
    debit(read(made, "lyon", "bolt"), Draw(RUN, "train", "m", "1", STEPS))
    (told,) = json.loads(fedad("privacy", "show", made, "--json")[2])["ledgers"]
    spent = epsilon([STEPS], 1e-5)
    assert told["spent"] == pytest.approx(spent.epsilon)
    assert told["left"] == pytest.approx(16 - spent.epsilon)
    assert told["accountant"] == spent.accountant
    assert (told["relation"], told["unit"], told["delta"]) == ("add/remove", "image", 1e-5)
    assert told["releases"][0]["run"] == RUN
    assert told["releases"][0]["receipt"]["kind"] == "SampledGaussians"


def test_a_second_budget_is_refused_in_one_line(fedad, made):
    code, said, _ = fedad("privacy", "init", made, *WORDS[:-1], 99)
    assert code == 3
    assert said.count("\n") == 1
    assert "what is spent stays spent" in said


def test_a_ledger_that_was_changed_is_refused_in_one_line(fedad, made):
    path = made / "lyon" / "bolt" / NAME
    path.write_text(path.read_text().replace("16.0", "99.0"))
    code, said, _ = fedad("privacy", "show", made)
    assert code == 3
    assert said.count("\n") == 1
    assert f"{path}: the ledger cannot be believed" in said


def test_a_folder_without_a_ledger_is_named(fedad, tmp_path):
    code, said, _ = fedad("privacy", "show", tmp_path)
    assert code == 3
    assert f"{tmp_path}: there is no ledger" in said


def test_help_and_show_need_neither_torch_nor_accountants(made):
    code = """
import sys
for name in ("torch", "opacus", "dp_accounting", "flwr"):
    sys.modules[name] = None
from fedad.cli import main
main()
"""
    for words in (("--help",), ("show", str(made))):
        done = subprocess.run(
            [sys.executable, "-c", code, "privacy", *words], capture_output=True, check=True
        )
        assert done.stdout
