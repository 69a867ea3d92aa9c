"""The exact figures against the golden cases, the slow definition and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from fedad.errors import ConfigError, DataError
from fedad.evaluation import LIMITS, Scored, spro_areas
from fedad.evaluation.breakdown import measure
from fedad.evaluation.exact import rank_exactly
from fedad.types import Region
from tests.evaluation.drawn import GOLDEN, categories, draw, golden, slow_areas, values


def areas(images, limits=LIMITS, **options):
    maps, regions = [image.map for image in images], [image.regions for image in images]
    return list(spro_areas(maps, regions, limits, **options).values())


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_cases(name):
    images, limits, official = golden(name)
    exact = areas(images, limits)
    assert np.abs(np.subtract(exact, official)).max() < 1e-4
    assert np.abs(np.subtract(exact, slow_areas(images, limits))).max() < 1e-12


@given(categories())
def test_equals_the_slow_definition(images):
    np.testing.assert_allclose(areas(images), slow_areas(images), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
def test_equals_the_slow_definition_on_larger_maps(dtype):
    images = draw(3, dtype=dtype)
    np.testing.assert_allclose(areas(images), slow_areas(images), rtol=0, atol=1e-12)


@given(categories())
@settings(max_examples=60)
def test_the_company_equals_scikit_learn(images):
    found = values(measure(rank_exactly(images)))
    truth = [np.any([np.zeros_like(i.map, bool), *(r.mask for r in i.regions)], 0) for i in images]
    pixels = np.concatenate([one.ravel() for one in truth])
    scores = np.concatenate([image.map.ravel() for image in images])
    check(found, "pixel", pixels, scores)
    bad = np.array([not image.cell.is_good() for image in images])
    tops = np.array([image.map.max() for image in images])
    check(found, "image", bad, tops)
    if bad.any() and not bad.all():
        precision, recall, _ = precision_recall_curve(bad, tops)
        f1 = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-300))
        assert found["image_f1_max"] == pytest.approx(f1, abs=1e-12)


def check(found, prefix, truth, scores):
    auroc, ap = found[f"{prefix}_auroc"], found[f"{prefix}_ap"]
    if truth.all() or not truth.any():
        assert np.isnan([auroc, ap]).all()
    else:
        assert auroc == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert ap == pytest.approx(average_precision_score(truth, scores), abs=1e-12)


def test_blocks_of_levels_change_nothing(monkeypatch):
    images = draw(4, dtype="float32")
    whole = values(measure(rank_exactly(images)))
    monkeypatch.setattr("fedad.evaluation.exact.BLOCK", 37)
    parts = values(measure(rank_exactly(images)))
    assert parts == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_constant_map_is_the_two_point_curve(dtype):
    mask = np.zeros((6, 7), bool)
    mask[2:4, 2:4] = True
    maps = [np.full((6, 7), 3, dtype)] * 2
    found = spro_areas(maps, [[], [Region(mask, 2)]], LIMITS)
    assert found == pytest.approx({limit: limit / 2 for limit in LIMITS})


def test_nothing_to_rank_is_nan():
    scores, everywhere = np.eye(3), Region(np.ones((3, 3), bool), 5)
    assert np.isnan(areas([Scored(scores, ())])).all()  # no region
    assert np.isnan(areas([Scored(scores, (everywhere,), defect="missing")])).all()  # no negative
    assert np.isnan(list(values(measure(rank_exactly([]))).values())).all()


def test_one_image_and_one_pixel_of_defect():
    mask = np.zeros((5, 3), bool)
    mask[4, 2] = True
    scores = np.arange(15.0).reshape(5, 3)
    assert spro_areas([scores], [[Region(mask, 1)]], [0.2]) == {0.2: 1.0}
    assert spro_areas([-scores], [[Region(mask, 1)]], [0.2]) == {0.2: 0.0}


def test_large_float32_scores_are_told_apart():
    mask = np.array([[True, False, False]])
    scores = np.array([[2**24 + 2, 2**24, 1]], np.float32)
    for mode in ("exact", "official"):
        assert spro_areas([scores], [[Region(mask, 1)]], [0.5, 1], mode=mode) == {
            0.5: 1.0,
            1.0: 1.0,
        }


def test_images_of_several_sizes_are_pooled():
    images = draw(0, size=(40, 50)) + draw(1, size=(33, 21))
    np.testing.assert_allclose(areas(images), slow_areas(images), rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused_by_name(value):
    scores = np.ones((4, 4), np.float32)
    scores[1, 2] = value
    with pytest.raises(DataError, match=r"^cam/0003.npy: a score is .*finite"):
        Scored(scores, (), name="cam/0003.npy")
    with pytest.raises(DataError, match=r"map 1: a score is"):
        spro_areas([np.ones((4, 4)), scores], [[], []])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.ones((2, 3, 3)), r"expected \(H, W\)"),
        (np.ones((2, 3), np.int32), r"expected \(H, W\) of uint8"),
        (np.ones((0, 3)), r"expected \(H, W\)"),
        (np.ones((3, 2)), r"the map is 2 x 3, its mask 3 x 2"),
    ],
)
def test_maps_that_are_none_are_refused(scores, message):
    with pytest.raises(DataError, match=message):
        Scored(scores, (Region(np.ones((2, 3), bool), 1),), defect="missing")


@pytest.mark.parametrize(
    ("defect", "regions"),
    [("good", None), ("missing", ()), ("good", (Region(np.ones((2, 3), bool), 1),))],
)
def test_regions_that_contradict_the_defect_are_refused(defect, regions):
    with pytest.raises(DataError, match=rf"a good image has no region.* of '{defect}' has "):
        Scored(np.ones((2, 3)), regions, defect=defect)


@pytest.mark.parametrize("limits", [[], [0], [1.1], [-0.1], [float("nan")], [0.3, 0.3]])
def test_limits_that_are_none_are_refused(limits):
    with pytest.raises(ConfigError, match="limits = "):
        spro_areas([np.eye(3)], [[]], limits)


def test_an_unknown_mode_is_answered_with_the_right_ones():
    with pytest.raises(ConfigError, match=r"did you mean 'exact'.*exact, official"):
        spro_areas([np.eye(3)], [[]], mode="exakt")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_memory_is_at_most_three_times_the_maps(dtype):
    """A third of all pixels in regions; the maps themselves are counted."""
    import tracemalloc

    images = draw(0, count=16, dtype=dtype, size=(300, 300))
    maps = [image.map for image in images]
    half = np.zeros((300, 300), bool)
    half[:, :200] = True
    regions = [[Region(half, 9000)] if k % 2 else [] for k in range(16)]
    tracemalloc.start()
    spro_areas(maps, regions)
    beyond = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(scores.nbytes for scores in maps)
    fixed = 12e6 if dtype.startswith("u") else 0  # tables of 65,536 values and one block
    assert beyond < 2 * size + fixed
