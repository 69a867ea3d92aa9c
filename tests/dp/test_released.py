"""A release has one public form: the door takes no other, and a merge unites what is no padding."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.origin import image_of_rows
from fedad.config import read
from fedad.dp import projected
from fedad.dp.projected import as_rows
from fedad.dp.released import ROWS, admit_released, released_rows
from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.methods.base import FIRST, method_of
from fedad.types import Enrolled
from tests.contracts.drawn_sites import config_of, embed, site
from tests.dp.released_banks import WIDTH, drawn_public, released

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def public(monkeypatch):
    monkeypatch.setattr(projected, "public_of", lambda fingerprint: drawn_public())


def enrolled(bank, longest=20.0):
    have = dict.fromkeys(bank.categories, 1)
    return Enrolled(bank.sites[0], have, {}, bank.fingerprint, WIDTH, longest)


def test_a_release_is_admitted_as_it_is():
    bank = released("lyon")
    assert admit_released(bank, enrolled(bank)) is bank
    sealed = bank.sealed("lyon", "float16")
    assert admit_released(sealed, enrolled(bank)) is sealed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda bank: bank.take(np.arange(len(bank) - 1)), "shape"),
        (lambda bank: bank.replace(category=np.zeros(len(bank), np.int32)), "shape"),
        (lambda bank: bank.replace(row=bank.row[::-1].copy()), "column"),
        (lambda bank: bank.replace(row=np.zeros(len(bank), np.int32)), "column"),
        (lambda bank: bank.replace(images=bank.images * 305), "counts"),
        (lambda bank: bank.replace(patches=bank.patches * 0), "counts"),
        (lambda bank: bank.replace(patches=bank.patches * 0 + ROWS + 1), "counts"),
        (lambda bank: bank.replace(rows=bank.rows * 100), "norm"),
        (lambda bank: bank.replace(scope="mixed"), "header"),
    ],
)
def test_any_other_form_is_refused(change, reason):
    bank = released("lyon")
    with pytest.raises(UploadError) as told:
        admit_released(change(bank), enrolled(bank))
    assert told.value.reason == reason


def test_padding_goes_whatever_order_the_rows_travel_in():
    bank = released("lyon", centres=5)
    for one in (bank, bank.sealed("lyon", "float16"), bank.take(RNG.permutation(len(bank)))):
        kept = released_rows(one)
        np.testing.assert_array_equal(kept.rows, np.r_[bank.rows[:5], bank.rows[ROWS : ROWS + 5]])
        np.testing.assert_array_equal(kept.row, np.arange(10))


def test_a_centre_at_the_origin_is_no_padding():
    bank = released("lyon", ("bolt",), centres=2)
    bank.rows[1] = 0
    assert len(released_rows(bank)) == 2


def test_releases_are_united_in_any_order_and_nothing_is_selected():
    method = method_of(config_of("patchcore"))
    one, other = (released(name, seed=k).sealed(name, "float16") for k, name in enumerate("ab"))
    merged = method.merge([one, other], FIRST, rng=RNG)
    assert len(merged) == 20
    assert merged.sites == ("a", "b")
    again = method.merge([one, other], FIRST, rng=np.random.default_rng(99))
    assert merged.rows.tobytes() == again.rows.tobytes()


def test_images_are_scored_through_the_projection_of_the_bank():
    method = method_of(config_of("patchcore"))
    bank = method.merge([released("lyon").sealed("lyon", "float16")], FIRST, rng=RNG)
    features = embed(site("graz").test[:1])
    maps, _ = method.score(bank, features)
    rows = bank.of_category("bolt").rows
    seen = drawn_public().project(features.grid.reshape(-1, features.grid.shape[-1]))
    expected = np.linalg.norm(seen[:, None] - rows, axis=2).min(1)
    np.testing.assert_allclose(maps.ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize("scoring", ["with_own", "standardised"])
def test_a_site_is_never_farther_with_its_own_exact_rows(scoring):
    config = replace(config_of("patchcore"), score=read({"score.scoring": scoring}).score)
    method, plant = method_of(config), site("lyon")
    own = method.fit(embed(plant.train), FIRST, rng=RNG).sealed("lyon", "float32")
    others = [released(name).sealed(name, "float16") for name in ("graz", "lyon")]
    bank = method.merge(others, FIRST, rng=RNG)
    features = embed(plant.train)
    alone, _ = method_of(config_of("patchcore")).score(bank, features)
    united, _ = method.score(bank, features, own=own)
    assert (united <= alone + 1e-4).all()
    assert (united == 0).any()  # its own exact rows


def test_rows_of_a_release_are_of_no_image():
    bank = released_rows(released("lyon"))
    own = method_of(config_of("patchcore")).fit(embed(site("lyon").train), FIRST, rng=RNG)
    assert (image_of_rows(bank, own, "lyon") == -1).all()


def test_a_bank_of_another_projection_is_refused():
    bank = released("lyon")
    strange = replace(bank.fingerprint, projection="0" * 64)
    with pytest.raises(MismatchError, match="went through the projection 000000000000"):
        as_rows(strange, np.zeros((1, 6), np.float32))


@pytest.mark.parametrize(
    "knobs",
    [
        {"merge.weighting": "coverage"},
        {"bank.size": 100},
        {"bank.scope": "mixed"},
        {"round.method": "gaussian"},
        {"data.holdout": 0.2},
        {"data.images": 20},
        {"dp_tree.unit": "part", "data.group": "near-duplicates"},
    ],
)
def test_what_would_tell_of_images_beside_a_release_is_refused(knobs):
    with pytest.raises(ConfigError, match="dp_tree"):
        method_of(read({"privacy.release": "dp_tree", **knobs}))
