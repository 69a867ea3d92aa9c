"""Every way of scoring, found by its file name, keeps the same promises."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedad.banks.bank import join
from fedad.config import ScoreKnobs, read
from fedad.errors import ConfigError
from fedad.judging.full_size import full_size
from fedad.plugins import names, plugin
from fedad.round import merge
from fedad.scoring import _gaps as gaps_file
from fedad.scoring import own_first as own_first_file
from fedad.scoring import standardised as standardised_file
from fedad.scoring.nearest import nearest
from fedad.scoring.own_first import own_first
from fedad.scoring.q_of_n import q_of_n
from fedad.scoring.standardised import standardised
from fedad.scoring.with_own import with_own
from fedad.search import nearest_rows, shortlist
from fedad.search.base import Nearest
from fedad.search.image_scores import image_scores
from tests.conftest import bank_of

FLOATS = st.floats(-100, 100, width=32)
POINTS = arrays(np.float32, st.tuples(st.integers(1, 9), st.just(3)), elements=FLOATS)
SITES = st.lists(POINTS, min_size=1, max_size=6)


@pytest.mark.parametrize("name", names("scoring"))
def test_a_patch_that_is_a_row_scores_nothing_and_far_ones_score_more(name):
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    found = plugin("scoring", name)(bank_of(rows), np.concatenate([rows[3:4], rows[3:4] + 100]))
    assert found.distance[0] == 0
    assert found.distance[1] > 50
    assert found.distance.dtype == np.float32


@given(
    rows=POINTS,
    patches=arrays(np.float32, st.tuples(st.integers(0, 9), st.just(3)), elements=FLOATS),
)
def test_nearest_is_the_least_of_all_distances(rows, patches):
    """What is told is the distance of the row that is told; among rows that are equally near to
    float32's rounding of squares it may be any."""
    found = nearest(bank_of(rows), patches)
    every = np.linalg.norm(patches[:, None].astype(float) - rows[None], axis=2)
    told = np.take_along_axis(every, found.row[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(found.distance, told, rtol=1e-6, atol=1e-6)
    length = max(np.linalg.norm(np.concatenate([rows, patches]).astype(float), axis=1))
    assert (told**2 <= every.min(1) ** 2 + 16 * 2.0**-24 * length**2 + 1e-9).all()


@pytest.mark.parametrize("search", nearest_rows.SEARCHES)
def test_nearest_does_not_cancel_far_from_zero(search, monkeypatch):
    if search == "faiss":
        pytest.importorskip("faiss")
    for name, size in (("PATCHES", 7), ("ROWS", 5), ("SUB", 3)):
        monkeypatch.setattr(nearest_rows, name, size)
    rng = np.random.default_rng(1)
    rows = (1e4 + rng.normal(size=(23, 6))).astype(np.float32)
    patches = (1e4 + rng.normal(size=(31, 6))).astype(np.float32)
    every = np.linalg.norm(patches[:, None].astype(float) - rows[None], axis=2)
    found = nearest(bank_of(rows), patches, knobs=ScoreKnobs(search=search))
    np.testing.assert_array_equal(found.row, every.argmin(1))
    np.testing.assert_allclose(found.distance, every.min(1), rtol=1e-6)


def test_an_image_scores_its_worst_patch():
    found = Nearest(np.array([1, 5, 2, 7, 3, 4], np.float32), np.zeros(6, int))
    scores = image_scores(found, np.zeros((6, 2)), np.zeros((1, 2)), per_image=3, neighbours=1)
    assert scores.tolist() == [5, 7]


def test_neighbourhood_weighting_is_equation_7_of_the_paper():
    rows = np.array([[0, 0], [1, 0], [0, 2], [9, 9]], np.float32)
    patch = np.array([[3, 0]], np.float32)
    found = nearest(bank_of(rows), patch)
    (score,) = image_scores(found, patch, rows, per_image=1, neighbours=3)
    around = np.linalg.norm(rows[[1, 0, 2]] - patch, axis=1)  # the 3 rows nearest to row 1
    expected = (1 - np.exp(around[0]) / np.exp(around).sum()) * 2
    assert score == pytest.approx(expected)


def test_a_map_is_resized_and_smoothed_but_never_stretched():
    flat = full_size(np.full((4, 4), 3, np.float32), (50, 70), side=32, sigma=4)
    assert flat.shape == (50, 70)
    np.testing.assert_allclose(flat, 3, rtol=1e-6)
    peak = np.zeros((8, 8), np.float32)
    peak[2, 5] = 1
    large = full_size(peak, (80, 160), side=64, sigma=2)
    row, column = np.unravel_index(large.argmax(), large.shape)
    assert abs(row - 25) <= 2
    assert abs(column - 110) <= 3
    assert 0.2 < large.max() < 1


def of_sites(sites):
    """One bank of sites "0", "1", ... with these rows."""
    return join([bank_of(rows, str(k)) for k, rows in enumerate(sites)])


def distances(sites, patches):
    """(S, N): from each patch to each site's nearest row."""
    return np.stack([nearest(bank_of(rows), patches).distance for rows in sites])


@settings(max_examples=60)
@given(sites=SITES, own=POINTS, patches=POINTS)
def test_q_of_one_is_nearest_over_own_and_all_others_to_the_last_bit(sites, own, patches):
    found = q_of_n(of_sites(sites), patches, own=bank_of(own, "me"), knobs=ScoreKnobs(q=1))
    together = nearest(bank_of(np.concatenate([*sites, own])), patches)
    np.testing.assert_array_equal(found.distance, together.distance)
    np.testing.assert_array_equal(found.row, together.row)


@settings(max_examples=60)
@given(sites=SITES, own=POINTS, patches=POINTS, q=st.integers(2, 6))
def test_q_of_n_is_the_nearer_of_own_and_the_qth_smallest_of_the_others(sites, own, patches, q):
    mine = distances([own], patches)[0]
    others = np.sort(distances(sites, patches), axis=0)
    expected = np.minimum(mine, others[q - 1]) if q <= len(sites) else mine
    bank, me = of_sites(sites), bank_of(own, "me")
    found = q_of_n(bank, patches, own=me, knobs=ScoreKnobs(q=q))
    np.testing.assert_array_equal(found.distance, expected)
    rows = np.concatenate([bank.rows, me.rows])[found.row]
    np.testing.assert_allclose(
        np.linalg.norm(patches - rows, axis=1), found.distance, rtol=1e-5, atol=1e-30
    )


@settings(max_examples=60)
@given(honest=SITES, malicious=SITES, own=POINTS, patches=POINTS, more=st.integers(0, 2))
def test_no_upload_makes_a_patch_more_normal_than_its_nearest_honest_row(
    honest, malicious, own, patches, more
):
    """With f malicious sites and q = f + 1 or more; an own bank is as honest as the site."""
    knobs = ScoreKnobs(q=len(malicious) + 1 + more)
    bank = of_sites([*honest, *malicious])
    found = q_of_n(bank, patches, own=bank_of(own, "me"), knobs=knobs)
    assert (found.distance >= distances([*honest, own], patches).min(0)).all()
    newcomer = q_of_n(bank, patches, knobs=knobs)
    assert (newcomer.distance >= distances(honest, patches).min(0)).all()


def test_what_fewer_than_q_others_know_counts_for_nothing_beside_own_rows():
    bank, patch = of_sites([[[0, 0, 0]], [[1, 0, 0]]]), np.zeros((1, 3), np.float32)
    own = bank_of([[5, 0, 0]], "me")
    found = [q_of_n(bank, patch, own=own, knobs=ScoreKnobs(q=q)) for q in (1, 2, 3)]
    assert [float(one.distance[0]) for one in found] == [0, 1, 5]
    newcomer = [q_of_n(bank, patch, knobs=ScoreKnobs(q=q)).distance[0] for q in (1, 2, 3)]
    assert newcomer == [0, 1, 1]


def test_a_sites_own_rows_in_the_bank_are_no_other_site():
    """They went to the server and came back: only the copy that never left counts."""
    bank, patch = of_sites([[[0, 0, 0]], [[3, 0, 0]], [[4, 0, 0]]]), np.zeros((1, 3), np.float32)
    assert q_of_n(bank, patch, own=bank_of([[9, 0, 0]], "0")).distance == [4]
    assert q_of_n(bank, patch, own=bank_of([[9, 0, 0]], "new")).distance == [3]


@pytest.mark.parametrize("most", [0, shortlist.MOST], ids=["too long", "listed"])
def test_rows_that_bfloat16_cannot_tell_apart_are_all_listed(most, monkeypatch):
    monkeypatch.setattr(shortlist, "MOST", most)
    rng = np.random.default_rng(0)
    rows = (1 + 1e-2 * rng.normal(size=(500, 8))).astype(np.float32)
    rows[0] = -50  # keeps the others far from the mean, where bfloat16 rounds coarsely
    patches = rows[100:200] + np.float32(1e-4)
    every = np.linalg.norm(patches[:, None].astype(float) - rows[None], axis=2)
    found = nearest(bank_of(rows), patches, knobs=ScoreKnobs(search="bfloat16"))
    np.testing.assert_array_equal(found.row, every.argmin(1))


def test_faiss_that_is_not_installed_is_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match="faiss is not installed"):
        nearest(
            bank_of(np.ones((2, 2))), np.ones((1, 2), np.float32), knobs=ScoreKnobs(search="faiss")
        )


WITH_OWN = [name for name in names("scoring") if name != "nearest"]


@pytest.mark.parametrize("name", names("scoring"))
@settings(max_examples=20)
@given(own=POINTS, patches=POINTS)
def test_a_site_that_is_alone_is_scored_by_its_nearest_row(name, own, patches):
    """So isolated sites are one yardstick, whatever the scoring."""
    me = bank_of(own, "me")
    expected = nearest(me, patches).distance
    for mine in (me, None):
        found = plugin("scoring", name)(me, patches, own=mine, knobs=ScoreKnobs(q=1))
        np.testing.assert_array_equal(found.distance, expected)


@settings(max_examples=60)
@example(
    sites=[np.float32([[21, 0, 0]]), np.float32([[2.0**-9, 0, 0], [0, 0, 0]])],
    own=np.float32([[1, 1, 1]]),
    patches=np.float32([[0, 0, 0]]),
    factor=1.0,
)
@given(sites=SITES, own=POINTS, patches=POINTS, factor=st.floats(1, 9))
def test_what_others_know_counts_as_told(sites, own, patches, factor):
    """The three ways of using own rows, by every distance there is: of rows that are equally near
    to the rounding of a product, a search over all of them may take any."""
    bank, me = of_sites(sites), bank_of(own, "me")
    mine, others = distances([own], patches)[0], distances(sites, patches).min(0)
    united = with_own(bank, patches, own=me)
    every = np.concatenate([bank.rows, own, patches]).astype(float)
    rounding = 16 * 2.0**-24 * np.square(every).sum(1).max()  # of a square, as `nearest` is held to
    first = own_first(bank, patches, own=me, settings=own_first_file.Knobs(factor))
    for found, weight in ((united, 1.0), (first, factor)):
        expected = np.minimum(mine, others * np.float32(weight)).astype(float)
        off = np.abs(found.distance.astype(float) ** 2 - expected**2)
        assert (off <= weight**2 * rounding + 2e-3 * expected**2 + 1e-6).all()
    near, slack = standardised(bank, patches, own=me), 1e-3 + np.sqrt(rounding)
    assert (near.distance <= united.distance * 1.001 + slack).all()
    assert (near.distance >= united.distance * 0.799 - slack).all()
    for found, weight in ((united, 1), (first, factor)):
        rows = np.concatenate([bank.rows, me.rows])[found.row]
        direct = np.linalg.norm(patches - rows, axis=1)
        weights = np.where(found.row < len(bank), np.float32(weight), 1)
        np.testing.assert_allclose(found.distance, direct * weights, rtol=1e-5, atol=1e-30)


def test_rows_that_the_bank_had_no_room_for_still_explain_a_patch():
    bank = of_sites([[[9, 0, 0]], [[5, 0, 0]]])
    own, patch = bank_of([[5, 0, 0], [0, 0, 0]], "1"), np.zeros((1, 3), np.float32)
    assert nearest(bank, patch, own=own).distance == [5]
    for name in ("with_own", "own_first", "standardised"):
        found = plugin("scoring", name)(bank, patch, own=own)
        assert (found.distance, found.row) == ([0], [len(bank) + 1])


def lamps(offset, seed=0, images=4):
    """Own rows of some images, another site's of the same places under a lamp `offset` away, and
    patches that are the other site's alone."""
    rng = np.random.default_rng(seed)
    places, elsewhere = rng.normal(size=(50, 8)), 9 + rng.normal(size=(50, 8))
    source = np.repeat(np.arange(images), 50) * 64
    mine = np.concatenate([places + 0.3 * rng.normal(size=places.shape) for _ in range(images)])
    shift = offset * np.eye(8)[0]
    theirs = np.concatenate([places + shift, elsewhere + shift])
    own = bank_of(mine, "me").replace(source=source)
    return own, bank_of(theirs, "other"), (elsewhere + 0.1).astype(np.float32)


def test_a_lamp_that_shifts_all_distances_is_measured_and_taken_out():
    own, theirs, patches = lamps(offset=0.7)
    bank = join([own.replace(source=np.empty(0, np.int64)), theirs])
    plain, found = with_own(bank, patches, own=own), standardised(bank, patches, own=own)
    between = np.linalg.norm(own.rows[:, None] - theirs.rows, axis=2).min(1)
    apart = np.linalg.norm(own.rows[:, None] - own.rows, axis=2)
    apart[own.image[:, None] == own.image] = np.inf
    share = np.quantile(apart.min(1), 0.1) / np.quantile(between, 0.1)
    assert 0.8 < share < 0.95
    np.testing.assert_allclose(found.distance, plain.distance * share, rtol=1e-4)
    assert (found.row >= len(own)).all()


def test_a_site_that_is_as_near_as_oneself_is_left_as_it_is():
    own, theirs, patches = lamps(offset=0.0)
    bank = join([own.replace(source=np.empty(0, np.int64)), theirs])
    same = with_own(bank, patches, own=own)
    np.testing.assert_array_equal(standardised(bank, patches, own=own).distance, same.distance)


def test_gaps_of_sites_are_not_the_gaps_inside_one_image():
    """Rows of one image lie close together, which says nothing of the next image."""
    rows = np.array([[0, 0, 0], [0.1, 0, 0], [4, 0, 0], [4.1, 0, 0]], np.float32)
    own = bank_of(rows, "me").replace(source=np.array([0, 1, 64, 65]))
    theirs = bank_of([[0, 2, 0]], "other")
    patch, bank = (
        np.array([[0, 9, 0]], np.float32),
        join([own.replace(source=own.source[:0]), theirs]),
    )
    assert standardised(bank, patch, own=own).distance == [7]  # 4 to oneself, 2 to the other
    alike = own.replace(source=np.arange(4))  # one image is all: its own rows have to do
    assert standardised(bank, patch, own=alike).distance == [pytest.approx(0.8 * 7)]


def test_rows_that_are_far_from_everything_do_not_explain_everything():
    """A stranger's rows, or an attacker's: in their own measure all is as near as good parts."""
    own, _, patches = lamps(offset=0.0)
    far = bank_of(1e4 + np.random.default_rng(1).normal(size=(90, 8)), "stranger")
    alone = nearest(own, patches).distance
    bank = join([own.replace(source=np.empty(0, np.int64)), far])
    np.testing.assert_array_equal(standardised(bank, patches, own=own).distance, alone)


def plants_apart(offset, seed=0):
    """Own rows of a site, and what three sites sent that saw the same places: the others' under a
    lamp `offset` away."""
    rng = np.random.default_rng(seed)
    places, sent = rng.normal(size=(60, 8)), []
    for number, name in enumerate(("lyon", "me", "turin")):
        rows = np.concatenate([places + 0.3 * rng.normal(size=places.shape) for _ in range(6)])
        rows += 0 if name == "me" else offset * np.eye(8)[number]
        sent.append(bank_of(rows[rng.permutation(len(rows))], name, images=6))
    own = sent[1].replace(source=rng.permutation(np.repeat(np.arange(6), 60)) * 64)
    return own, sent


def left_of(own, sent, size):
    """What `standardised` leaves of distances to each other site in a bank of so many rows; 0: all
    that was sent."""
    bank = merge(read({"bank.size": size, "coreset.local-ratio": 1.0}), sent)
    assert len(bank) == (size or sum(map(len, sent)))
    return standardised_file.Prepared(bank, own=own).factors[1:]


def usual(offset, size):
    """The mean of what is left, over four plants."""
    return np.mean([left_of(*plants_apart(offset, seed), size) for seed in range(4)])


@pytest.mark.parametrize("size", [90, 200, 400])
def test_rows_of_a_small_bank_are_far_from_all_and_that_is_no_lamp(size, monkeypatch):
    whole = usual(0.0, size=0)
    assert whole > 0.99
    assert usual(0.0, size) > whole - 0.07
    monkeypatch.setattr(gaps_file, "FEW", 0)  # by the rows that the bank has room for
    assert usual(0.0, size) < whole - 0.1


@pytest.mark.parametrize("size", [90, 200, 400])
def test_a_lamp_is_told_from_the_rows_that_a_small_bank_lacks(size, monkeypatch):
    whole, small = usual(0.7, size=0), usual(0.7, size)
    assert 0.88 < whole < 0.95
    assert abs(small - whole) < 0.09
    monkeypatch.setattr(gaps_file, "FEW", 0)
    assert abs(usual(0.7, size) - whole) > abs(small - whole)


def test_a_bank_that_has_all_rows_or_none_of_the_site_is_measured_by_its_own(monkeypatch):
    own, sent = plants_apart(1.2)
    newcomer = own.replace(sites=("new",))
    found = [left_of(one, sent, size) for one, size in ((own, 0), (newcomer, 0), (newcomer, 90))]
    released = replace(own.fingerprint, projection="signs")
    assert not gaps_file.kept_of(sent[1].replace(fingerprint=released), own).any()
    monkeypatch.setattr(gaps_file, "FEW", 0)
    assert found == [
        left_of(one, sent, size) for one, size in ((own, 0), (newcomer, 0), (newcomer, 90))
    ]


def neighbours(count, seed=0):
    """Own rows, a bank of many other sites under lamps of their own, and patches of them all."""
    own, _, _ = lamps(0.0, seed)
    rng = np.random.default_rng(seed)
    places = np.concatenate([own.rows[:50], 9 + rng.normal(size=(50, 8))])
    parts = []
    for number in range(count):
        rows = places[rng.integers(60, size=rng.integers(1, 90))]
        lamp = rng.uniform(0, 0.9) * np.eye(8)[number % 8]
        parts.append(rows + lamp + 0.2 * rng.normal(size=rows.shape))
    shuffled = of_sites(parts)
    shuffled = shuffled.take(rng.permutation(len(shuffled)))
    patches = np.concatenate(parts)[rng.permutation(len(shuffled))[:300]]
    return own, shuffled, (patches + 0.5 * rng.normal(size=patches.shape)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_very_many_sites_are_searched_together_with_the_same_scores(seed, monkeypatch):
    own, bank, patches = neighbours(33, seed)
    searched = []
    monkeypatch.setitem(
        nearest_rows.SEARCHES,
        "torch",
        lambda *a, by_torch=nearest_rows.by_torch: searched.append(len(a[0])) or by_torch(*a),
    )
    together = standardised(bank, patches, own=own)
    assert searched == [len(own)]
    monkeypatch.setattr(standardised_file, "ONE_BY_ONE", 33)
    monkeypatch.setattr(gaps_file, "ONE_BY_ONE", 33)
    apart = standardised(bank, patches, own=own)
    assert len(searched) == 2 + 2 * 33
    np.testing.assert_allclose(together.distance, apart.distance, rtol=1e-6)
    np.testing.assert_array_equal(together.row, apart.row)
    plain = np.linalg.norm(patches - np.concatenate([bank.rows, own.rows])[apart.row], axis=1)
    assert len(np.unique(np.round(apart.distance / plain, 3))) > 5  # factors of many kinds


@pytest.mark.parametrize("block", [1024, 7])
def test_distances_to_many_parts_are_those_to_each(block, monkeypatch):
    monkeypatch.setattr(gaps_file, "BLOCK", block)
    _, bank, patches = neighbours(40)
    parts = [np.flatnonzero(bank.site == number) for number in range(40)]
    found = gaps_file.to_parts(bank.rows, parts, patches)
    np.testing.assert_allclose(found, distances([bank.rows[p] for p in parts], patches), rtol=1e-6)


@pytest.mark.parametrize("name", WITH_OWN)
def test_rows_around_a_row_are_weighed_in_plain_search_alone(name):
    with pytest.raises(ConfigError, match=f"expected 1 with score.scoring = '{name}'"):
        read({"score.scoring": name, "score.neighbours": 2})
