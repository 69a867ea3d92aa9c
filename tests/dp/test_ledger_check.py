"""Preflight at a site: its ledgers, their seals, what is left, and whether images are enough."""

from pathlib import Path
from shutil import copytree, rmtree

import pytest

from client_app.draws import UPLOAD
from fedad.config import read as read_config
from fedad.deploy.ledger_check import Ledgers
from fedad.dp.account import Terms
from fedad.dp.enough import HALF, images_for_half
from fedad.dp.gaussian import multiplier
from fedad.dp.ledger import create
from fedad.plumbing.journal import NAME
from fedad.privacy.base import asked_of_images
from fedad.reporting.privacy import asked_in_words, privacy_of
from tests.dp.test_spending import OTHER, PRODUCTS, RUN, Plant

IMAGES = dict.fromkeys(PRODUCTS, 1000)


@pytest.fixture
def plant(tmp_path):
    return Plant(tmp_path)


def checked(plant, images=IMAGES, mirror=None, **knobs):
    """Product -> the check of its ledger; of all, if there is one check alone."""
    config = read_config({**plant.node.config.flat(), **knobs})
    found = [*Ledgers(config, "lyon", plant.root, plant.folder, mirror).checks(images)]
    assert {one.name for one in found} == {"ledger"}
    return dict(zip(sorted(images), found, strict=True)) if len(found) > 1 else {"": found[0]}


def failed(plant, **how):
    return {name: one.told for name, one in checked(plant, **how).items() if not one.passed}


def test_what_is_left_is_said(plant):
    plant.ask()
    told = checked(plant)["bolt"].told
    assert "bolt at lyon: epsilon 1 of 3 spent by 1 release, 2 left" in told
    assert "the release that is asked for fits" in told
    assert not failed(plant)
    assert "WARNING" not in told


def test_a_budget_that_has_no_room_for_the_run_fails(plant):
    plant.ask()
    found = failed(plant, **{"dp_tree.epsilon": 2.9})
    assert set(found) == set(PRODUCTS)
    assert "1 is spent by 1 releases, and with this one it would be" in found["hose"]


def test_no_ledger_fails_where_the_run_is_private_and_is_nothing_where_it_is_not(tmp_path):
    plant = Plant(tmp_path, total=0)
    assert "there is no ledger of 'bolt'" in failed(plant)["bolt"]
    only = checked(plant, **{"privacy.release": "keep"})[""]
    assert only.passed
    assert only.told.startswith("none")


def test_a_run_without_privacy_fails_where_a_product_has_a_ledger(plant):
    rmtree(plant.root / "lyon" / "hose")
    (told,) = failed(plant, **{"privacy.release": "keep"}).values()
    assert "nothing of 'bolt' leaves without differential privacy" in told


def test_a_ledger_that_was_changed_fails(plant):
    path = plant.root / "lyon" / "hose" / NAME
    path.write_text(path.read_text().replace("3.0", "9.0"))
    found = failed(plant)
    assert set(found) == {"hose"}
    assert "cannot be believed" in found["hose"]


def test_seals_are_held_against_debits(plant):
    plant.ask()
    plant.ask(OTHER)
    assert not failed(plant)
    whole = (plant.folder / RUN / UPLOAD).read_bytes()
    (plant.folder / RUN / UPLOAD).write_bytes(whole[:-3])
    assert "the seal of train is not there, or cannot be read" in failed(plant)["bolt"]
    (plant.folder / RUN / UPLOAD).write_bytes((plant.folder / OTHER / UPLOAD).read_bytes())
    assert "the seal of train is of other bytes" in failed(plant)["bolt"]
    rmtree(plant.folder / RUN)  # of an old run nothing is kept
    assert not failed(plant)


def test_what_is_sealed_and_not_debited_is_counted(plant, tmp_path):
    copytree(plant.root, tmp_path / "before")
    plant.ask()
    rmtree(plant.root)
    copytree(tmp_path / "before", plant.root)
    assert "1 sealed and not debited" in checked(plant)["bolt"].told


def test_a_mirror_that_is_ahead_fails(plant, tmp_path):
    plant.ask()
    copytree(plant.root, tmp_path / "mirror")
    assert not failed(plant, mirror=tmp_path / "mirror")
    for name in PRODUCTS:
        rmtree(plant.root / "lyon" / name)
        create(plant.root, Terms("lyon", name, 3.0, 1e-5, "image"))
    assert "another than its mirror" in failed(plant, mirror=tmp_path / "mirror")["bolt"]
    assert "there is no such copy" in failed(plant, mirror=Path("/nowhere"))["bolt"]


def test_too_few_images_are_a_warning_that_keeps_nobody_out(plant):
    found = checked(plant, images={"bolt": 899, "hose": 900})
    assert "WARNING: 899 good images, and by the rule it takes some 900" in found["bolt"].told
    assert "WARNING" not in found["hose"].told
    assert found["bolt"].passed


def test_the_rule_is_public_and_by_the_noise_alone():
    for epsilon in (1, 2, 5, 10):
        assert 0 <= images_for_half(epsilon, 1e-5) - HALF * multiplier(epsilon, 1e-5) < 10
    private = read_config({"privacy.release": "dp_tree", "dp_tree.epsilon": 1.0})
    (line,) = asked_in_words(private)
    assert "900 good images" in line
    assert line in privacy_of(private)["told"]
    for release in ("keep", "noisy_rows", "dp_sgd"):  # of a trained head no such rule is known
        other = read_config({"privacy.release": release, "round.method": "discriminator"})
        assert asked_of_images(other) == 0
        assert not [*asked_in_words(other)]
