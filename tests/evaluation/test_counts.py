"""Counts: they add up bit for bit, give the pooled figures, and travel as checked arrays."""

import json
import time
import tracemalloc
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.errors import MismatchError, UploadError
from fedad.evaluation import (
    FINE,
    Counts,
    Scored,
    break_down_counts,
    curves,
    pack,
    summarise,
    unpack,
)
from fedad.evaluation.binning import Binning
from fedad.evaluation.bins import EdgeBins
from fedad.evaluation.breakdown import measure
from fedad.evaluation.exact import rank_exactly
from fedad.evaluation.packing import ROWS
from fedad.evaluation.ranked import rank_counts
from fedad.types import Region
from tests.evaluation.drawn import SHARED, categories, draw, region, same, values

UNIT = 2**32


def counted(images) -> Counts:
    return reduce(add, map(Counts.of, images), Counts())


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
    edges = EdgeBins("wide", np.array([0.0, 2.0, 3.0, 6.0, 8.0]))
    merged = reduce(add, (Counts.of(image, Binning("wide", edges, edges)) for image in images))
    check_law(merged, images)


def check_law(counts, images):
    """Every figure is within its stated bound of the exact one, to the last bit."""
    exact = values(measure(rank_exactly(images)))
    for key, figure in measure(rank_counts(counts)).items():
        if np.isnan(exact[key]):
            assert np.isnan(figure.value)
        else:
            assert abs(float(figure.value) - exact[key]) <= float(figure.bound), key


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
    many = one
    for _ in range(11):
        many += many  # 2,048 of them
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
    found = summarise(total, limits=[0.05])
    assert json.loads(json.dumps(found)) is not None
    assert list(found["categories"]) == ["bolt", "hose"]
    bolt = found["categories"]["bolt"]
    assert bolt["sizes"] == counted(draw(0)).sizes()
    assert bolt["figures"]["auc_spro_0.05"]["value"] == pytest.approx(
        summarise(site(0), limits=[0.05])["pooled"]["figures"]["auc_spro_0.05"]["value"]
    )
    both = [found["categories"][name]["figures"]["pixel_ap"]["value"] for name in ("bolt", "hose")]
    assert found["mean"]["pixel_ap"]["value"] == pytest.approx(np.mean(both))
    assert set(bolt["by_defect"]) == {"missing", "scratch"}
    assert set(bolt["by_kind"]) == {"logical", "structural", "mean"}


def test_a_category_with_nothing_to_rank_is_nan_and_left_out_of_the_mean():
    good = [image for image in draw(1, category="hose") if image.cell.is_good()]
    found = summarise(site(0) + counted(good))
    assert np.isnan(found["categories"]["hose"]["figures"]["image_auroc"]["value"])
    assert found["mean"]["image_auroc"]["categories"] == 1
    assert found["mean"]["image_auroc"]["value"] == pytest.approx(
        found["categories"]["bolt"]["figures"]["image_auroc"]["value"]
    )
    empty = summarise(Counts())
    assert empty["categories"] == {}
    assert np.isnan(empty["pooled"]["figures"]["image_auroc"]["value"])


def test_counts_of_other_bins_do_not_add():
    with pytest.raises(MismatchError, match=r"'uint8' and 'float16-float9' do not add"):
        site(0, "uint8") + site(0, "float32")
    for score in (1.5, -1, 256):
        with pytest.raises(MismatchError, match=r"no bin among the integers"):
            Counts.of(Scored(np.ones((2, 2), np.uint8), (), score=score))


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
COLUMNS, LENGTHS, IMAGES, NEGATIVE = (
    ARRAYS[name] for name in ("columns", "lengths", "images", "negative")
)
MORE = LENGTHS + np.eye(5, LENGTHS.shape[1], dtype=np.uint32)
NOTHING = {name: np.zeros((2**25, 0), np.uint8) for name in ROWS}


@pytest.mark.parametrize(
    ("header", "arrays", "word", "message"),
    [
        ({"schema": 1}, {}, "schema", "of schema 1 are not read, only 2: .* another version"),
        ({"schema": "2"}, {}, "schema", "of schema '2'"),
        ({"binning": "log4096"}, {}, "header", "in bins 'log4096'"),
        ({"binning": None}, {}, "header", "in bins None"),
        ({"cells": "bolt"}, {}, "header", "whose cells"),
        ({"cells": [["bolt", "good"]]}, {}, "header", "whose cells"),
        ({"cells": [["bolt", 3, ""]]}, {}, "header", "whose cells"),
        ({"cells": HEADER["cells"][::-1]}, {}, "header", "whose cells"),
        ({"cells": HEADER["cells"][:-1]}, {}, "shape", "lengths are"),
        ({"cells": []}, {}, "shape", "lengths are"),
        ({"batch": [0]}, {}, "header", "of batch"),
        ({"batch": [2.5]}, {}, "header", "of batch"),
        ({"batch": [True]}, {}, "header", "of batch"),
        ({"batch": [1, 1]}, {}, "header", "of batch"),
        ({"batch": [2**60]}, {}, "header", "of batch"),
        ({"batch": [2]}, {}, "kind", "images are .* expected unsigned of 2"),
        ({"batch": [2]}, {n: ARRAYS[n][None] for n in ROWS}, "shape", "images are .1, "),
        (
            {"batch": [2**25]},
            {"columns": COLUMNS[:0], "lengths": LENGTHS * 0, **NOTHING},
            "counts",
            "no image",
        ),
        ({}, {"columns": COLUMNS.astype(np.int64)}, "kind", "columns are int64 .* uint32 of 1"),
        ({}, {"columns": COLUMNS.astype(float)}, "kind", "columns are float64"),
        ({}, {"columns": COLUMNS[None]}, "kind", "of 2 dimensions"),
        ({}, {"lengths": LENGTHS.astype(float)}, "kind", "lengths are float64 .* uint32 of 2"),
        ({}, {"lengths": LENGTHS[0]}, "kind", "of 1 dimensions"),
        ({}, {"lengths": LENGTHS[:4]}, "shape", "lengths are"),
        ({}, {"lengths": MORE}, "shape", "columns are"),
        ({}, {"lengths": LENGTHS + np.uint32(2**31)}, "shape", "columns are"),
        ({}, {"lengths": LENGTHS[[0, 2, 1, 3, 4]]}, "shape", "negative are"),
        ({}, {"negative": NEGATIVE[:-1]}, "shape", "negative are"),
        ({}, {"negative": NEGATIVE.astype(np.int64)}, "kind", "negative are int64 .* unsigned"),
        ({}, {"negative": NEGATIVE.astype(float)}, "kind", "negative are float64 .* unsigned"),
        ({}, {"negative": NEGATIVE[None]}, "kind", "of 2 dimensions"),
        ({}, {"negative": np.full(NEGATIVE.shape, 2**60, np.uint64)}, "counts", "2.53"),
        ({}, {"negative": np.full(NEGATIVE.shape, 2**64 - 1, np.uint64)}, "counts", "2.53"),
        ({}, {"columns": COLUMNS[::-1]}, "column", "ascend"),
        ({}, {"columns": COLUMNS * 0}, "column", "ascend"),
        ({}, {"columns": COLUMNS + np.uint32(2**18)}, "column", "or pass the bins"),
        ({}, {"columns": COLUMNS + np.uint32(2**25)}, "column", "or pass the bins"),
        ({"binning": "uint8"}, {}, "column", "or pass the bins of uint8"),
        ({}, {"more": COLUMNS}, "fields", "as arrays"),
        ({}, {"images": IMAGES - IMAGES}, "counts", "no image"),
        ({}, {"covered": ARRAYS["covered"] + np.uint32(1)}, "counts", "never found in full"),
        ({}, {"covered": ARRAYS["covered"] * np.uint64(2)}, "counts", "numbers of regions"),
    ],
)
def test_an_upload_that_does_not_fit_is_refused(header, arrays, word, message):
    with pytest.raises(UploadError, match=message) as caught:
        unpack(HEADER | header, ARRAYS | arrays)
    assert caught.value.reason == word


def test_counts_that_would_take_too_much_memory_are_refused_before_they_do(monkeypatch):
    monkeypatch.setattr("fedad.evaluation.packing.LARGEST", 64 * 10)
    with pytest.raises(UploadError, match="take over 640 numbers") as caught:
        unpack(HEADER, ARRAYS)
    assert caught.value.reason == "size"


@pytest.mark.parametrize("batch", [0, 5, 400, 40_000])
@pytest.mark.parametrize("cells", [1, 3000])
def test_a_message_of_40_kilobytes_costs_a_few_milliseconds_and_megabytes(cells, batch):
    """As many bins as may be, or one bin in each replicate, or cells without any."""
    entries = 8000 if not batch else min(40_000 // batch, 3000 * cells)
    lengths = np.zeros((5, cells), np.uint32)
    lengths[0, : min(cells, entries)] = 1
    lengths[1, 0] = entries - min(cells, entries)
    columns = np.zeros(entries, np.uint32)
    columns[lengths[0].sum() :] = 4 * np.arange(lengths[1, 0])
    names = [["bolt", f"{k:05d}", ""] for k in range(cells)]
    header = {"schema": 2, "binning": FINE.name, "batch": [batch] * (batch > 0), "cells": names}
    arrays = {"columns": columns, "lengths": lengths}
    for name, count in zip(ROWS, lengths.sum(1), strict=True):
        arrays[name] = np.ones((batch, count) if batch else (count,), np.uint8)
    tracemalloc.start()
    began = time.perf_counter()
    if cells > entries:
        with pytest.raises(UploadError, match="no image"):
            unpack(header, arrays)
    else:
        assert len(unpack(header, arrays).cells) == cells
    seconds = time.perf_counter() - began
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 8e6
    assert seconds < 0.5  # under a tracer; a few ms without


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
