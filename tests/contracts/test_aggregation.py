"""Every way of joining uploads, found by its file name, keeps the same promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.aggregation.base import shares
from fedad.config import Merge
from fedad.coresets.kcenter import kcenter
from fedad.plugins import names, plugin
from tests.conftest import bank_of


def choose(points, size, kept):
    return kcenter(points, size, rng=np.random.default_rng(0), kept=kept)


def upload(site, rows, images, seed=0):
    rng = np.random.default_rng([seed, *site.encode()])
    points = rng.normal(size=(rows, 3)).astype(np.float32)
    return bank_of(points[kcenter(points, rows, rng=rng)], site, images=images)


UPLOADS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 50)), min_size=1, max_size=5)


@pytest.mark.parametrize("name", names("aggregation"))
@given(made=UPLOADS, data=st.data())
def test_keeps_rows_that_were_uploaded_each_once_with_their_provenance(name, made, data):
    uploads = [upload(f"site-{k}", rows, images) for k, (rows, images) in enumerate(made)]
    size = data.draw(st.integers(1, sum(map(len, uploads))))
    bank = plugin("aggregation", name)(uploads, size, knobs=Merge(floor=2), choose=choose)
    assert len(bank) == size
    kept = {(int(s), int(r)) for s, r in zip(bank.site, bank.row, strict=True)}
    assert len(kept) == size
    for row, site, number in zip(bank.rows, bank.site, bank.row, strict=True):
        np.testing.assert_array_equal(row, uploads[site].rows[number])
    assert bank.images.sum() == sum(images for _, images in made)


@pytest.mark.parametrize("name", names("aggregation"))
def test_one_site_keeps_the_first_rows_of_its_upload(name):
    only = upload("lyon", 40, 9)
    bank = plugin("aggregation", name)([only], 15, knobs=Merge(), choose=choose)
    np.testing.assert_array_equal(bank.rows, only.rows[:15])


def test_a_federated_coreset_takes_at_most_twice_a_share_of_a_site():
    uploads = [upload("a", 90, 10), upload("b", 90, 80)]
    bank = plugin("aggregation", "federated_coreset")(
        uploads, 45, knobs=Merge(oversample=2.0), choose=choose
    )
    assert (bank.site == 0).sum() <= 2 * 5


def test_diversity_preserving_gives_a_small_site_its_floor():
    uploads = [upload("large", 90, 1000), upload("small", 30, 1)]
    concatenated, diverse = (
        plugin("aggregation", name)(uploads, 60, knobs=Merge(floor=12), choose=choose)
        for name in ("concatenate", "diversity_preserving")
    )
    assert (concatenated.site == 1).sum() == 0
    kept = diverse.row[diverse.site == 1]
    assert set(range(12)) <= set(kept.tolist())


def test_floors_that_would_overfill_the_bank_become_equal_shares():
    uploads = [upload(name, 30, 5) for name in "abc"]
    bank = plugin("aggregation", "diversity_preserving")(
        uploads, 9, knobs=Merge(floor=100), choose=choose
    )
    assert np.bincount(bank.site).tolist() == [3, 3, 3]


@given(
    weights=st.lists(st.integers(0, 1000), min_size=1, max_size=8),
    data=st.data(),
)
def test_shares_are_whole_complete_and_within_what_is_there(weights, data):
    available = data.draw(
        st.lists(st.integers(0, 50), min_size=len(weights), max_size=len(weights))
    )
    size = data.draw(st.integers(0, sum(available)))
    given_ = shares(weights, size, available)
    assert sum(given_) == size
    assert all(0 <= share <= most for share, most in zip(given_, available, strict=True))


@given(weights=st.lists(st.integers(1, 1000), min_size=1, max_size=8), size=st.integers(0, 500))
def test_shares_are_within_one_row_of_proportional(weights, size):
    given_ = shares(weights, size, [size] * len(weights))
    for share, weight in zip(given_, weights, strict=True):
        assert abs(share - size * weight / sum(weights)) < 1


def test_more_rows_than_there_are_cannot_be_shared():
    with pytest.raises(ValueError, match="only 5 are there"):
        shares([1, 1], 6, [2, 3])
