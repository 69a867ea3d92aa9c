"""Laws of what travels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.banks.bank import Bank, join
from fedad.errors import MismatchError, UploadError
from fedad.types import Saturation
from tests.conftest import bank_of

CELLS = st.lists(
    st.tuples(st.sampled_from(["graz", "lyon", "turin"]), st.sampled_from(["bolt", "hose"])),
    min_size=3,
    max_size=6,
    unique=True,
)


def banks(cells):
    rng = np.random.default_rng(0)
    return [
        bank_of(rng.normal(size=(3, 2)), site, category, images=k + 1)
        for k, (site, category) in enumerate(cells)
    ]


@given(CELLS)
def test_joining_is_associative_and_keeps_rows_with_their_provenance(cells):
    parts = banks(cells)
    whole = join(parts)
    stepwise = join([join(parts[:2]), join(parts[2:])])
    for name in ("rows", "category", "site", "row", "images", "patches"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(stepwise, name))
    for k, (site, category) in enumerate(cells):
        assert whole.sites[whole.site[3 * k]] == site
        assert whole.categories[whole.category[3 * k]] == category
        assert whole.images[whole.sites.index(site), whole.categories.index(category)] == k + 1


@given(CELLS)
def test_a_category_of_a_joined_bank_is_what_was_joined(cells):
    whole = join(banks(cells))
    for category in whole.categories:
        part = whole.of_category(category)
        expected = [bank for bank in banks(cells) if bank.categories == (category,)]
        np.testing.assert_array_equal(part.rows, np.concatenate([bank.rows for bank in expected]))
        assert part.images.sum() == sum(bank.images.sum() for bank in expected)


def test_images_do_not_count_twice():
    with pytest.raises(MismatchError, match="'lyon' comes twice"):
        join([bank_of([[1.0]], "lyon"), bank_of([[2.0]], "lyon")])


def test_sealing_rounds_once_and_leaves_the_private_column():
    own = bank_of([[1 / 3, 2.0]], "").replace(source=np.array([5]))
    sealed = own.sealed("lyon", "float16")
    assert sealed.sites == ("lyon",)
    assert len(sealed.source) == 0
    assert sealed.rows[0, 0] == np.float32(np.float16(1 / 3))
    np.testing.assert_array_equal(sealed.sealed("lyon", "float16").rows, sealed.rows)


def test_features_beyond_float16_are_refused():
    with pytest.raises(ValueError, match="float16 ends at 65504"):
        bank_of([[1e6]]).sealed("lyon", "float16")


@given(CELLS)
def test_packing_is_lossless(cells):
    bank = join(banks(cells))
    again = Bank.unpack(*bank.pack())
    np.testing.assert_array_equal(bank.rows, again.rows)
    np.testing.assert_array_equal(bank.images, again.images)
    assert (bank.sites, bank.categories, bank.fingerprint) == (
        again.sites,
        again.categories,
        again.fingerprint,
    )


@pytest.mark.parametrize(
    ("break_", "says"),
    [
        (lambda t, h: h.update(schema="9"), "schema '9'"),
        (lambda t, h: t.pop("site"), "bank/'site' is missing"),
        (lambda t, h: t.update(row=t["row"][:1]), "bank/row: M is 1, expected 3"),
        (
            lambda t, h: t["rows"].__setitem__((1, 0), np.inf),
            r"bank/rows holds NaN or infinity at \[1, 0\]",
        ),
        (
            lambda t, h: t["category"].__setitem__(0, 7),
            "category points beyond its 1 categories",
        ),
        (
            lambda t, h: t["images"].__setitem__((0, 0), -1),
            "bank/images holds values from -1 to -1",
        ),
        (lambda t, h: h.update(sites='"lyon"'), "expected names fit for files"),
        (lambda t, h: h.update(fingerprint="{}"), "bank/fingerprint is no Fingerprint"),
    ],
)
def test_what_is_not_a_bank_is_refused(break_, says):
    tensors, header = bank_of(np.ones((3, 2))).pack()
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    break_(tensors, header)
    with pytest.raises(UploadError, match=says):
        Bank.unpack(tensors, header)


@pytest.mark.parametrize(
    ("threshold", "relative", "pixels", "area"),
    [(0.5, True, 9, 4), (1.0, True, 9, 9), (0.01, True, 9, 1), (5, False, 9, 5), (50, False, 9, 9)],
)
def test_saturation_areas(threshold, relative, pixels, area):
    assert Saturation(threshold, relative).area(pixels) == area
