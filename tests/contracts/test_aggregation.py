"""Every way of joining uploads, found by its file name, keeps the same promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.aggregation.base import CAP, believed, shares
from fedad.config import MergeKnobs
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
    bank = plugin("aggregation", name)(uploads, size, knobs=MergeKnobs(floor=2), choose=choose)
    assert len(bank) == size
    kept = {(int(s), int(r)) for s, r in zip(bank.site, bank.row, strict=True)}
    assert len(kept) == size
    for row, site, number in zip(bank.rows, bank.site, bank.row, strict=True):
        np.testing.assert_array_equal(row, uploads[site].rows[number])
    assert bank.images.sum() == sum(images for _, images in made)


@pytest.mark.parametrize("name", names("aggregation"))
def test_one_site_keeps_the_first_rows_of_its_upload(name):
    only = upload("lyon", 40, 9)
    bank = plugin("aggregation", name)([only], 15, knobs=MergeKnobs(), choose=choose)
    np.testing.assert_array_equal(bank.rows, only.rows[:15])


def test_a_federated_coreset_takes_at_most_twice_a_share_of_a_site():
    uploads = [upload("a", 90, 10), upload("b", 90, 80)]
    bank = plugin("aggregation", "federated_coreset")(
        uploads, 45, knobs=MergeKnobs(oversample=2.0), choose=choose
    )
    assert (bank.site == 0).sum() <= 2 * 5


@given(regions=st.integers(1, 3), sites=st.integers(1, 3), part=st.integers(1, 9), data=st.data())
def test_regions_that_hand_on_what_one_server_takes_make_its_bank(regions, sites, part, data):
    """By `merge.oversample = 1` and twice their part; the head then chooses among the same rows."""
    merged = plugin("aggregation", "federated_coreset")
    names_ = data.draw(st.permutations([f"site-{k}" for k in range(regions * sites)]))
    rows = data.draw(st.integers(2 * part, 30))
    each = [upload(name, rows, 5) for name in names_]
    all_ = MergeKnobs(oversample=1.0)
    parts = [each[k::regions] for k in range(regions)]
    heads = [merged(some, 2 * part * sites, knobs=all_, choose=choose) for some in parts]
    size = part * sites * regions
    one, tree = (
        merged(some, size, knobs=MergeKnobs(oversample=2.0), choose=choose)
        for some in (each, heads)
    )
    kept = [
        {(bank.sites[s], int(r)) for s, r in zip(bank.site, bank.row, strict=True)}
        for bank in (one, tree)
    ]
    assert kept[0] == kept[1]


def test_diversity_preserving_gives_a_small_site_its_floor():
    uploads = [upload("large", 90, 1000), upload("small", 30, 1)]
    concatenated, diverse = (
        plugin("aggregation", name)(uploads, 60, knobs=MergeKnobs(floor=12), choose=choose)
        for name in ("concatenate", "diversity_preserving")
    )
    assert (concatenated.site == 1).sum() == 0
    kept = diverse.row[diverse.site == 1]
    assert set(range(12)) <= set(kept.tolist())


def test_floors_that_would_overfill_the_bank_become_equal_shares():
    uploads = [upload(name, 30, 5) for name in "abc"]
    bank = plugin("aggregation", "diversity_preserving")(
        uploads, 9, knobs=MergeKnobs(floor=100), choose=choose
    )
    assert np.bincount(bank.site).tolist() == [3, 3, 3]


def quota(uploads, size):
    return plugin("aggregation", "quota")(uploads, size, knobs=MergeKnobs(), choose=choose)


@settings(deadline=None, max_examples=60)
@given(made=UPLOADS, lie=st.integers(0, 10**12), data=st.data())
def test_no_count_takes_more_than_a_site_is_believed_to_have(made, lie, data):
    """Honest sites have rows enough, so that nothing is left over for the liar."""
    size = data.draw(st.integers(1, 40))
    honest = [upload(f"site-{k}", size, images) for k, (_, images) in enumerate(made)]
    bank = quota([*honest, upload("zz", size, lie)], size)
    counts = [images for _, images in made] + [lie]
    most = CAP * max(1, sorted(counts)[(len(counts) - 1) // 2])
    weights = [min(max(1, count), most) for count in counts]
    share = size * weights[-1] / sum(weights)
    assert abs((bank.site == len(made)).sum() - share) < 1


def test_what_a_site_may_keep_is_covered_by_its_own_rows_in_any_order():
    """Half honest, half not, honest rows first: the server does not take the order that came."""
    rng = np.random.default_rng(3)
    near, far = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 100
    sent = bank_of(np.concatenate([near, far]), "lyon")
    kept = quota([upload("graz", 40, 1), sent], 20)
    of_lyon = kept.rows[kept.site == 1]
    assert len(of_lyon) == 10
    assert (of_lyon[:, 0] > 50).any()


def test_repeated_rows_take_no_place_and_the_first_of_them_stays():
    rows = np.array([[1, 1], [0.0, 2], [1, 1], [-0.0, 2], [3, 3]])
    bank = quota([bank_of(rows, "lyon"), bank_of(rows[:2], "graz")], 7)
    assert bank.row[bank.site == bank.sites.index("lyon")].tolist() == [0, 1, 4]
    assert len(bank) == 5  # what two sites have in common is kept of both


@pytest.mark.parametrize("shift", [0, 1, 100])
def test_a_stranger_gets_only_the_places_that_others_leave(shift):
    """Every place but the stranger's own rows where the bank takes all of what came."""
    rng = np.random.default_rng(4)
    near = [bank_of(rng.normal(size=(64, 3)), name) for name in "abc"]
    sent = [*near, bank_of(rng.normal(size=(64, 3)) + shift, "z")]
    kept = [(quota(sent, size).site == 3).sum() for size in (100, 192, 200, 256)]
    assert kept == ([0, 0, 8, 64] if shift == 100 else [25, 48, 50, 64])


@given(counts=st.lists(st.integers(0, 10**12), min_size=1, max_size=9))
def test_believed_counts_are_within_the_cap_and_honest_ones_stay(counts):
    found = believed(counts)
    middle = max(1, sorted(counts)[(len(counts) - 1) // 2])
    for told, taken in zip(counts, found, strict=True):
        assert 1 <= taken <= CAP * middle
        assert taken == told or not 1 <= told <= CAP * middle


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
