"""What each way of describing patches and reading distances does, by plain arithmetic."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.descriptors.apply import described_features, described_parts
from fedad.descriptors.density import divided, gaps
from fedad.descriptors.position import joined, places
from fedad.descriptors.settings import (
    ALL,
    OFF,
    Settings,
    described,
    embedded,
    evidence_of,
    joins,
    settings_of,
    table_of,
)
from fedad.descriptors.smoothed_maximum import smoothed_maximum
from fedad.descriptors.standardise import standardised, sums_of
from fedad.errors import MismatchError
from fedad.types import Features
from tests.conftest import MARK

RNG = np.random.default_rng(0)
WHOLE = Settings(position=0.5, scale=2.0, standardise=1.0)


def features(valid=None):
    grid = RNG.normal(3, 2, (3, 4, 5, 6)).astype(np.float32)
    names = ("a", "b", "c")
    return Features(grid, ("bolt", "hose", "bolt"), names, MARK, valid=valid)


def test_places_run_from_one_edge_to_the_other():
    found = places(3, 2)
    np.testing.assert_array_equal(found, [[-1, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [1, 1]])
    np.testing.assert_array_equal(places(1, 1), [[0, 0]])


def test_a_patch_elsewhere_is_farther_by_its_way_times_the_reach():
    patch = np.ones((2, 4), np.float32)
    found = joined(patch, np.array([[-1, 0], [1, 0]], np.float32), 3.0)
    assert np.linalg.norm(found[0] - found[1]) == 6
    assert found.dtype == np.float32


def test_a_blend_of_1_has_mean_0_and_spread_1_and_one_of_0_changes_nothing():
    patches = RNG.normal(5, 3, (200, 4)).astype(np.float32)
    found = standardised(patches, sums_of(patches), 1.0)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-5)
    np.testing.assert_array_equal(standardised(patches, sums_of(patches), 0.0), patches)


def test_a_lamp_that_scales_and_shifts_all_features_of_an_image_is_taken_out():
    patches = RNG.normal(5, 3, (200, 4)).astype(np.float32)
    other = (patches * [2, 0.5, 1, 3] + [1, -4, 0, 2]).astype(np.float32)
    one, two = (standardised(some, sums_of(some), 1.0) for some in (patches, other))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_an_image_that_is_uniform_stays_finite():
    patches = np.ones((9, 3), np.float32)
    assert np.isfinite(standardised(patches, sums_of(patches), 1.0)).all()
    assert standardised(patches, sums_of(patches[:0]), 1.0) is patches


@pytest.mark.parametrize("blend", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("grey", [0.1, 0.3, 5.7])
def test_a_uniform_image_is_not_blown_up(blend, grey):
    """Its features' spread is nothing but rounding."""
    patches = np.full((785, 3), grey, np.float32)
    patches[:5, 0] = np.nextafter(np.float32(grey), np.float32(9))
    found = standardised(patches, sums_of(patches), blend)
    assert np.abs(found).max() < 500 * max(1, grey)


def test_rows_that_stand_often_have_the_gap_of_one():
    """As where many sites have the same background."""
    rows = np.array([[0], [1], [3], [7], [20]], np.float32)
    often = np.concatenate([rows, *[rows[:1]] * 9])
    np.testing.assert_allclose(gaps(often, rows[:1]), gaps(rows, rows[:1]), rtol=1e-6)


def test_a_gap_is_the_mean_distance_to_three_other_rows():
    rows = np.array([[0], [1], [3], [7], [20]], np.float32)
    np.testing.assert_allclose(gaps(rows, rows), [11 / 3, 3, 3, 17 / 3, 49 / 3], rtol=1e-6)
    # A row that is not in the bank: none of these is itself.
    np.testing.assert_allclose(gaps(rows, np.array([[2]], np.float32)), [4 / 3], rtol=1e-6)
    np.testing.assert_array_equal(gaps(rows[:1], rows[:1]), [0])


def test_gaps_hang_on_no_block(monkeypatch):
    from fedad.descriptors import density

    rows = RNG.normal(size=(90, 5)).astype(np.float32)
    every = np.linalg.norm(rows[:, None].astype(float) - rows, axis=2)
    expected = np.sort(every, axis=1)[:, 1:4].mean(axis=1)
    found = gaps(rows, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    monkeypatch.setattr(density, "BLOCK_BYTES", 8 * 90 * 7)
    np.testing.assert_array_equal(gaps(rows, rows), found)


def test_distances_are_divided_by_the_power_of_their_gap():
    found = divided(np.array([8, 8, 8], np.float32), np.array([4.0, 1.0, 0.0]), 0.5)
    np.testing.assert_array_equal(found, [4, 8, 8])


def test_a_smoothed_maximum_is_the_mean_of_the_top_share():
    patches = np.array([[1, 5, 3, 9], [2, 2, 2, 2]], np.float32)
    np.testing.assert_array_equal(smoothed_maximum(patches, 0.5), [7, 2])
    np.testing.assert_array_equal(smoothed_maximum(patches, 0.0), [9, 2])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pieces", [1, 3])
def test_patches_in_parts_are_described_as_those_of_whole_images(masked, pieces):
    """Also where an image comes in several pieces, and where some patches are not valid."""
    valid = RNG.random((3, 4, 5)) < 0.7 if masked else None
    whole = features(valid)
    seen = np.ones((3, 4, 5), bool) if valid is None else valid
    mine = seen & np.array([True, False, True])[:, None, None]
    expected = described_features(whole, {"bolt": WHOLE}).grid[mine]

    class Pieces:
        shape = whole.shape

        def parts(self, category):
            (part,) = whole.parts(category)
            yield part[:0]  # an image of which nothing is valid
            yield from np.array_split(part, pieces)

    numbers = np.flatnonzero(mine)
    found = np.concatenate([*described_parts(Pieces(), "bolt", numbers, WHOLE, wide=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_each_product_is_described_as_its_own_settings_say():
    found = described_features(features(), {"bolt": Settings(position=1.0, scale=2.0)})
    assert found.grid.shape == (3, 4, 5, 8)
    assert np.abs(found.grid[0, ..., 6:]).max() == 2
    assert not found.grid[1, ..., 6:].any()
    same = features()
    assert described_features(same, {}) is same


def test_a_fingerprint_says_how_and_takes_it_back():
    table = {"bolt": WHOLE, ALL: OFF, "hose": Settings(density=0.5)}
    mark = described(MARK, table, {"bolt": {"chosen": "x"}})
    assert table_of(mark) == table
    assert evidence_of(mark) == {"bolt": {"chosen": "x"}}
    assert embedded(mark) == MARK
    assert described(mark, table, {"bolt": {"chosen": "x"}}) == mark
    assert joins(table)
    assert settings_of(table, "gear") == OFF
    assert described(MARK, {ALL: OFF}, {}) is MARK
    assert table_of(MARK) == {}


def test_banks_of_another_weight_differ_in_their_fingerprints():
    one, other = (described(MARK, {ALL: Settings(position=w, scale=1)}, {}) for w in (0.5, 0.25))
    (told,) = one.differences(other)
    assert told.startswith("transform:")
    assert "0.25" in told


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"bolt":[]}',
        '{"bolt":{"position":"x"}}',
        '{"bolt":{"position":"0.5"}}',
        '{"bolt":{"position":true}}',
        '{"bolt":{"position":NaN}}',
        '{"bolt":{"scale":1e400}}',
        '{"bolt":{"density":-1}}',
        '{"bolt":{"standardise":1.5}}',
        '{"bolt":{"position":50,"scale":1e6}}',
        '{"bolt":{"position":' + "9" * 5000 + "}}",
        '{"bolt":{"angle":1}}',
        '{"bolt":{"' + "x" * 5000 + '":1}}',
        '{"bolt":{},"bolt":{}}',
        "[" * 100_000,
        '{"bolt":{"evidence":' + "[" * 100_000 + "]" * 100_000 + "}}",
        '{"bolt":{"evidence":"' + "x" * 2**22 + '"}}',
    ],
    ids=lambda text: text[:30],
)
def test_words_that_are_not_known_are_refused_in_a_line(text):
    with pytest.raises(MismatchError, match="later version") as refused:
        table_of(replace(MARK, transform=f"rgb; described {text}"))
    assert len(str(refused.value)) < 400


def test_a_product_that_is_not_there_changes_nothing_of_the_others():
    table = {"ghost": WHOLE}
    found = described_features(features(), table)
    assert settings_of(table, "bolt") == OFF
    assert not found.grid[..., 6:].any()
