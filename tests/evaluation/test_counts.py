"""Counts: they add up bit for bit, give the pooled figures, and travel as checked arrays."""

import json
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.errors import MismatchError, UploadError
from fedad.evaluation import FINE, Counts, Scored, break_down_counts, curves, pack, report, unpack
from fedad.evaluation.breakdown import measure
from fedad.evaluation.exact import rank_exactly
from fedad.evaluation.ranked import rank_counts
from fedad.types import Region
from tests.evaluation.drawn import SHARED, categories, draw, region, values

UNIT = 2**32


def counted(images) -> Counts:
    return reduce(add, map(Counts.of, images), Counts())


def same(a: Counts, b: Counts) -> bool:
    (head, arrays), (other_head, others) = pack(a), pack(b)
    return head == other_head and all(
        np.array_equal(arrays[name], others[name]) and arrays[name].dtype == others[name].dtype
        for name in arrays
    )


def site(number: int, dtype: str = "float32") -> Counts:
    return counted(draw(number, dtype=dtype, category=("bolt", "hose")[number % 2]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_adding_is_associative_commutative_and_has_a_neutral_element(dtype):
    a, b, c = (site(number, dtype) for number in range(3))
    assert same((a + b) + c, a + (b + c))
    assert same(a + b, b + a)
    assert same(a + Counts(), a)
    assert same(Counts() + a, a)
    assert not same(a, b)


@given(categories(), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_splitting_over_sites_never_changes_the_pooled_counts(images, sites, random):
    dealt = [[] for _ in range(sites)]
    for image in random.sample(images, len(images)):
        random.choice(dealt).append(image)
    assert same(reduce(add, map(counted, dealt)), counted(images))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("sites", [1, 3, 20])
def test_merged_counts_of_integers_give_the_pooled_figures_exactly(dtype, sites):
    images = draw(7, count=40, dtype=dtype)
    merged = reduce(add, (counted(images[k::sites]) for k in range(sites)))
    from_counts, exact = measure(rank_counts(merged)), values(measure(rank_exactly(images)))
    for key, figure in from_counts.items():
        masses = key.startswith("au") and "roc" not in key  # each comes rounded to 2^-32
        assert figure.bound == (0.5 / UNIT if masses else 0)
        assert abs(float(figure.value) - exact[key]) <= max(float(figure.bound), 1e-15)


@pytest.mark.parametrize("sites", [1, 3, 20])
def test_merged_counts_of_floats_are_within_their_bound(sites):
    images = draw(8, count=60, size=(120, 160), dtype="float32")
    check_floats(images, sites)


@pytest.mark.parametrize("category", ["ball_screw", "magnetic_tile", "metal_plate"])
@pytest.mark.parametrize("sites", [1, 3, 20])
def test_merged_counts_of_real_parts_are_within_their_bound(category, sites, parts):
    check_floats(parts[category], sites)


def check_floats(images, sites):
    """The pixel figures also differ by at most 1e-4, whatever the bound allows."""
    merged = reduce(add, (counted(images[k::sites]) for k in range(sites)))
    from_counts, exact = measure(rank_counts(merged)), values(measure(rank_exactly(images)))
    for key, figure in from_counts.items():
        off = abs(float(figure.value) - exact[key])
        assert off <= float(figure.bound)
        assert off <= 1e-4 or key.startswith("image"), (key, off)
        assert figure.bound < 0.05


@pytest.fixture(scope="module")
def parts():
    """Maps for the images of `../shared/data/parts`: local contrast, and the masks a little."""
    from scipy.ndimage import gaussian_filter

    from fedad.datasets.autovi import autovi
    from fedad.images.pixels import image_size, read_image, read_region

    root = SHARED / "data" / "parts"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    found = {}
    for sample in autovi(root).samples:
        if sample.split == "test":
            grey = np.asarray(read_image(sample.path).convert("L"), np.float32) / 255
            scores = gaussian_filter(np.abs(grey - gaussian_filter(grey, 8)), 2) * 20 + 0.5
            size = image_size(sample.path)
            regions = tuple(read_region(channel, size) for channel in sample.masks)
            for one in regions:
                scores += gaussian_filter(one.mask.astype(np.float32), 4)
            image = Scored(scores, regions, sample.category, sample.defect)
            found.setdefault(sample.category, []).append(image)
    return found


@given(categories(dtype="float64"))
@settings(max_examples=60)
def test_every_bound_holds_for_any_scores_in_bins_too_wide(images):
    """Scores of 1 to 9 in five bins: whatever ties there, the exact figure is within the bound."""
    from fedad.evaluation.binning import Binning

    wide = Binning("wide", np.array([0.0, 2.0, 3.0, 6.0, 8.0]))
    merged = reduce(add, (Counts.of(image, wide) for image in images))
    exact = values(measure(rank_exactly(images)))
    for key, figure in measure(rank_counts(merged)).items():
        off = abs(float(figure.value) - exact[key])
        assert np.isnan(off) or off <= float(figure.bound) + 1e-12, key


def test_the_bins_are_fixed_by_the_format():
    """Pinned: a change of an edge is a change of schema, or old and new counts would add."""
    assert len(FINE) == 4096
    assert FINE.lower[[0, 1, 2048, 4095]].tolist() == pytest.approx(
        [0.01, 0.01002251, 1, 99.77539], rel=1e-6
    )
    assert [FINE.bin_of(score) for score in (-5, 0.001, 0.01, 1, 99.9, 1e9)] == [
        *(0, 0, 0, 2048, 4095, 4095),
    ]
    import zlib

    assert zlib.crc32(FINE.lower.tobytes()) == EDGES


EDGES = 2261201247


def test_scores_beyond_the_bins_are_counted_in_the_end_bins():
    scores = np.array([[-3, 0.0001, 1, 500, 1e6]], np.float32)
    table = next(iter(Counts.of(Scored(scores, ())).cells.values()))
    assert table[1, [0, 2048, 4095]].tolist() == [2, 1, 2]


def test_an_image_without_masks_counts_for_image_figures_alone():
    known = draw(1)
    unknown = Scored(np.full((60, 80), 9, np.float32), None, "bolt", "missing", "logical")
    with_it, without = counted([*known, unknown]), counted(known)
    assert with_it.sizes() == without.sizes() | {"defective_images": 7}
    a, b = (values(break_down_counts(one)["all"]) for one in (with_it, without))
    assert {key for key in a if a[key] != b[key]} == {"image_auroc", "image_ap", "image_f1_max"}


def test_figures_of_many_images_do_not_overflow():
    """Negatives times coverage passes 2^63 from about 100 regions on."""
    scores = np.full((1000, 1000), 1, np.float32)
    scores[:10] = 2
    mask = np.zeros((1000, 1000), bool)
    mask[:10] = True
    one = Counts.of(Scored(scores, (Region(mask, 100),), "bolt", "missing"))
    many = Counts({cell: table * 3000 for cell, table in one.cells.items()}, one.binning)
    assert values(measure(rank_counts(many))) == pytest.approx(
        values(measure(rank_counts(one))), nan_ok=True
    )


def test_figures_by_defect_and_kind():
    images = draw(2, count=24, dtype="uint8")
    found = break_down_counts(counted(images))
    assert list(found) == [
        *("all", "defect:missing", "defect:scratch", "kind:logical", "kind:structural"),
        "kind:mean",
    ]
    some = [image for image in images if image.defect in ("good", "missing")]
    exact = values(measure(rank_exactly(some)))
    assert values(found["defect:missing"]) == pytest.approx(exact, abs=1e-9)
    assert values(found["kind:logical"]) == values(found["defect:missing"])
    for key, figure in values(found["kind:mean"]).items():
        both = [values(found[f"kind:{kind}"])[key] for kind in ("logical", "structural")]
        assert figure == pytest.approx(np.mean(both), abs=1e-15)


def test_curves_from_counts():
    images = draw(3, dtype="uint8")
    columns = curves(counted(images))
    assert columns["threshold"][0] == np.inf
    for name in ("fpr", "spro", "pro", "tpr", "image_fpr", "image_tpr"):
        assert columns[name][0] == 0
        assert columns[name][-1] == 1
        assert (np.diff(columns[name]) >= 0).all()
    at = len(columns["threshold"]) // 2
    threshold = columns["threshold"][at]
    bad = [image.image_score >= threshold for image in images if not image.cell.is_good()]
    assert columns["image_tpr"][at] == np.mean(bad)
    found = [
        min(np.count_nonzero(image.map[one.mask] >= threshold) / one.saturation, 1)
        for image in images
        for one in image.regions
    ]
    assert columns["spro"][at] == pytest.approx(np.mean(found), abs=1e-9)
    assert np.isnan(curves(counted([images[0]]))["spro"]).all()
    assert curves(Counts())["threshold"].tolist() == [np.inf]


def test_report_is_json_and_names_what_it_ranks():
    total = site(0) + site(1)
    found = report(total, limits=[0.05])
    assert json.loads(json.dumps(found)) is not None
    assert list(found["categories"]) == ["bolt", "hose"]
    bolt = found["categories"]["bolt"]
    assert bolt["sizes"] == counted(draw(0)).sizes()
    assert bolt["figures"]["auc_spro_0.05"]["value"] == pytest.approx(
        report(site(0), limits=[0.05])["pooled"]["figures"]["auc_spro_0.05"]["value"]
    )
    both = [found["categories"][name]["figures"]["pixel_ap"]["value"] for name in ("bolt", "hose")]
    assert found["mean"]["pixel_ap"]["value"] == pytest.approx(np.mean(both))
    assert set(bolt["by_defect"]) == {"missing", "scratch"}
    assert set(bolt["by_kind"]) == {"logical", "structural", "mean"}


def test_a_category_with_nothing_to_rank_is_nan_and_left_out_of_the_mean():
    good = [image for image in draw(1, category="hose") if image.cell.is_good()]
    found = report(site(0) + counted(good))
    assert np.isnan(found["categories"]["hose"]["figures"]["image_auroc"]["value"])
    assert found["mean"]["image_auroc"]["categories"] == 1
    assert found["mean"]["image_auroc"]["value"] == pytest.approx(
        found["categories"]["bolt"]["figures"]["image_auroc"]["value"]
    )
    empty = report(Counts())
    assert empty["categories"] == {}
    assert np.isnan(empty["pooled"]["figures"]["image_auroc"]["value"])


def test_counts_of_other_bins_do_not_add():
    with pytest.raises(MismatchError, match=r"'uint8' and 'log4096' do not add"):
        site(0, "uint8") + site(0, "float32")
    with pytest.raises(MismatchError, match=r"no bin among the integers"):
        Counts.of(Scored(np.ones((2, 2), np.uint8), (), score=1.5))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_packed_counts_come_back(dtype):
    counts = site(0, dtype) + site(1, dtype)
    header, arrays = pack(counts)
    assert same(unpack(json.loads(json.dumps(header)), arrays), counts)
    assert same(unpack(*pack(Counts())), Counts())


def test_nothing_but_counts_and_names_of_cells_leaves():
    images = [
        Scored(one.map, one.regions, one.category, one.defect, name="/plant/cam7/0001.png")
        for one in draw(0)
    ]
    header, arrays = pack(counted(images))
    assert set(header) == {"schema", "binning", "batch", "cells"}
    assert "cam7" not in json.dumps(header)
    assert all(array.dtype.kind == "u" for array in arrays.values())


HEADER, ARRAYS = pack(site(0))
COLUMNS, VALUES = ARRAYS["columns"], ARRAYS["values"]


@pytest.mark.parametrize(
    ("header", "arrays", "message"),
    [
        ({"schema": 2}, {}, "another version"),
        ({"binning": "log10"}, {}, "in bins 'log10'"),
        ({"binning": None}, {}, "in bins None"),
        ({"cells": "bolt"}, {}, "whose cells"),
        ({"cells": [["bolt", "good"]]}, {}, "whose cells"),
        ({"cells": [["bolt", 3, ""]]}, {}, "whose cells"),
        ({"cells": HEADER["cells"][::-1]}, {}, "whose cells"),
        ({"batch": [0]}, {}, "of batch"),
        ({"batch": [2.5]}, {}, "of batch"),
        ({"batch": [1, 1]}, {}, "of batch"),
        ({"batch": [2]}, {}, "columns .* and values"),
        (
            {"batch": [2**25]},
            {"columns": COLUMNS[:0], "values": np.zeros((2**25, 0), "u1")},
            "unfold",
        ),
        ({}, {"columns": COLUMNS.astype(np.int64)}, "expected .n,. uint32"),
        ({}, {"values": VALUES[:-1]}, "columns .* and values"),
        ({}, {"values": VALUES.astype(np.int64)}, "unsigned"),
        ({}, {"values": VALUES.astype(float)}, "unsigned"),
        ({}, {"values": np.full(VALUES.shape, 2**60, np.uint64)}, "below 2.53"),
        ({}, {"columns": COLUMNS[::-1]}, "ascend"),
        ({}, {"columns": COLUMNS + np.uint32(2**20)}, "ascend, or pass"),
        ({}, {"more": COLUMNS}, "as arrays"),
        ({}, {"values": VALUES - VALUES}, "no image"),
        ({}, {"values": VALUES + np.uint32(1)}, "never found in full"),
    ],
)
def test_an_upload_that_does_not_fit_is_refused(header, arrays, message):
    with pytest.raises(UploadError, match=message):
        unpack(HEADER | header, ARRAYS | arrays)


def test_regions_of_different_number_in_both_measures_are_refused():
    counts = site(0)
    for table in counts.cells.values():
        if table[3].any():
            table[4] *= 2
    with pytest.raises(UploadError, match="different numbers of regions"):
        unpack(*pack(counts))


def test_masks_of_several_channels_count_once_each():
    mask = np.zeros((6, 6), bool)
    mask[:3, :3] = True
    regions = (region(mask, 1.0, True), region(mask.T, 4, False))
    counts = Counts.of(Scored(np.ones((6, 6), np.uint8), regions, "bolt", "missing"))
    assert counts.sizes() == {
        "good_images": 0,
        "defective_images": 1,
        "regions": 2,
        "negative_pixels": 27,
        "positive_pixels": 9,
    }
