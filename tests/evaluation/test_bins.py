"""Bins take any real score, and no figure is farther from the exact one than its bound says."""

import math
import tracemalloc
import zlib
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.evaluation import COARSE, FINE, Counts, Scored, curves, loose, summarise
from fedad.evaluation.binning import COARSE_UINT16, FORMATS, UINT8, UINT16
from fedad.evaluation.bins import FloatBins
from fedad.evaluation.breakdown import break_down_counts, measure
from fedad.evaluation.exact import rank_exactly
from fedad.evaluation.ranked import rank_counts
from fedad.types import Region
from tests.evaluation.drawn import categories, draw, values

SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLE = st.floats(allow_nan=False, allow_infinity=False)
TINIEST, HIGHEST = 2.0**-149, float(np.finfo(np.float32).max)
few = st.integers(-6, 6)
KINDS = {
    "float32": ("float32", SINGLE),
    "float64": ("float64", DOUBLE),
    "float16": ("float16", st.integers(0, 0x7BFF).map(lambda k: np.uint16(k).view(np.float16))),
    "denormal": ("float32", few.map(lambda k: k * TINIEST)),
    "around the least normal": ("float32", few.map(lambda k: k * 2.0**-127)),
    "below float32": ("float64", few.map(lambda k: k * 1e-60)),
    "huge": ("float32", few.map(lambda k: k / 6 * HIGHEST)),
    "beyond float32": ("float64", few.map(lambda k: k * 1e300)),
    "zeros": ("float32", st.sampled_from([-0.0, 0.0, TINIEST, -TINIEST])),
    "constant": ("float32", st.just(0.3)),
    "logits": ("float32", st.floats(990, 1010, width=32)),
    "log likelihoods": ("float32", st.floats(-1010, -990, width=32)),
    "in one bin": ("float32", few.map(lambda k: 1 + (k + 6) * 2.0**-20)),
    "powers of two": ("float32", few.map(lambda k: math.copysign(2.0**k, k))),
    "ties": ("float32", st.sampled_from([-1.5, -0.1, 0.0, 0.1, 7.0])),
    "mixed": ("float64", st.one_of(SINGLE, DOUBLE, few.map(float), st.just(1000.1))),
    "uint8": ("uint8", st.integers(0, 255)),
    "uint16": ("uint16", st.integers(0, 65535)),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=30)
def test_every_figure_is_within_its_bound_whatever_the_scores(kind, data):
    """The law: no tolerance, in fine bins and in coarse ones, at every limit."""
    dtype, scores = KINDS[kind]
    images = data.draw(categories(dtype, scores_of=scores))
    exact = values(measure(rank_exactly(images)))
    for count in (Counts.of, Counts.coarse):
        for key, figure in measure(rank_counts(reduce(add, map(count, images)))).items():
            if np.isnan(exact[key]):
                assert np.isnan(figure.value), key
            else:
                assert abs(float(figure.value) - exact[key]) <= float(figure.bound), key


@pytest.mark.parametrize("low", [1e-40, 1e-30, 1, 1e30])
@pytest.mark.parametrize("centre", [-10, 0, 10])
def test_the_law_holds_on_larger_maps(low, centre):
    """Thousands of pixels a bin, and as many bins below zero as above."""
    for seed in range(3):
        images = [
            Scored(
                (low * (np.log(one.map) + centre)).astype(np.float32),
                one.regions,
                one.category,
                one.defect,
            )
            for one in draw(seed, size=(60, 80))
        ]
        exact = values(measure(rank_exactly(images)))
        for count, most in ((Counts.of, 0.04), (Counts.coarse, 0.5)):
            for key, figure in measure(rank_counts(reduce(add, map(count, images)))).items():
                assert abs(float(figure.value) - exact[key]) <= float(figure.bound), key
                assert key.startswith("image") or low < 1e-37 or figure.bound < most, key


SPREADS = {  # scores (n,) whose standard deviation is a tenth of their size or more
    "normal": lambda rng, n: rng.normal(10, 1, n),
    "logits about 1,000": lambda rng, n: rng.normal(1000, 100, n),
    "log likelihoods": lambda rng, n: rng.normal(-300, 30, n),
    "around zero": lambda rng, n: rng.normal(0, 1, n),
    "uniform": lambda rng, n: rng.uniform(0.8, 1.2, n),
    "distances": lambda rng, n: rng.gamma(9, 1, n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(3, n),
    "tiny": lambda rng, n: 1e-30 * rng.normal(8.1, 0.9, n),
    "huge": lambda rng, n: 1e30 * rng.normal(16.1, 1.7, n),
    "two kinds": lambda rng, n: rng.normal(10, 1, n) + 20 * (rng.random(n) < 0.5),
}


SOME = ("normal", "two kinds")  # of which there are many images too: seconds a spread


@pytest.mark.parametrize(
    ("spread", "images", "apart"),
    [
        *((spread, 500, apart) for spread in SPREADS for apart in (0, 0.1)),
        *((spread, 2000, 0) for spread in SOME),
    ],
)
def test_image_auroc_is_known_to_a_ten_thousandth(spread, images, apart):
    rng = np.random.default_rng(images)
    good, bad = (SPREADS[spread](rng, images) for _ in range(2))
    report = summarise(scored(good, bad + apart * abs(good.mean())))
    figure = report["pooled"]["figures"]["image_auroc"]
    assert figure["bound"] <= 1e-4
    assert loose(report) == []


def scored(good, bad) -> Counts:
    """The counts of images of one pixel each, without masks."""
    return reduce(
        add,
        (
            Counts.of(Scored(np.full((1, 1), score, np.float32), regions, "bolt", defect))
            for scores, regions, defect in ((good, (), "good"), (bad, None, "missing"))
            for score in scores
        ),
    )


def test_what_is_known_only_roughly_is_warned_of():
    rng = np.random.default_rng(0)
    near = rng.normal(1000, 0.004, 60), rng.normal(1000.004, 0.004, 60)
    report = summarise(scored(*near))
    bound = report["categories"]["bolt"]["figures"]["image_auroc"]["bound"]
    assert bound > 0.1
    (said,) = loose(report)
    assert said.startswith(f"image AUROC of bolt is known to {bound:.2g} only")
    assert "subtracting a public constant" in said
    centred = summarise(scored(*(side - 1000 for side in near)))
    assert loose(centred) == []
    assert centred["categories"]["bolt"]["figures"]["image_auroc"]["bound"] < 1e-4
    mask = np.zeros((8, 8), bool)
    mask[:4, :4] = True
    flat = [
        Scored(np.full((8, 8), 5, np.float32), regions, name, defect)
        for name in ("bolt", "hose")
        for regions, defect in (((), "good"), ((Region(mask, 9),), "missing"))
    ]
    said = loose(summarise(reduce(add, map(Counts.of, flat))))
    names = ["image AUROC of bolt, hose", "AUC-sPRO@0.05 of bolt, hose"]
    assert [one.split(" is known to ")[0] for one in said] == names
    assert loose(summarise(Counts())) == []


def test_the_bins_are_fixed_by_the_format():
    """Pinned: a change of an edge is a change of schema, or old and new counts would add."""
    named = {name: (one.images.name, one.pixels.name, one.unit) for name, one in FORMATS.items()}
    assert named == {
        "uint8": ("uint8", "uint8", 2**32),
        "uint16": ("uint16", "uint16", 2**32),
        "float16-float9": ("float16", "float9", 2**32),
        "float9-float5": ("float9", "float5", 2**12),
        "uint16by256": ("uint16by256", "uint16by256", 2**12),
    }
    assert [len(one) for one in (FINE.images, FINE.pixels, COARSE.pixels)] == [
        *(510 * 2**16, 510 * 2**9, 510 * 2**5),
    ]
    scores = np.array([-HIGHEST, -1, -TINIEST, -0.0, 0, TINIEST, 1, 1 + 2**-9, 2, HIGHEST])
    assert FINE.pixels.of(scores).tolist() == [
        *(0, 65536, 130559, 130560, 130560, 130560, 195584, 195585, 196096, 261119),
    ]
    edges = FINE.pixels.lower(np.arange(len(FINE.pixels)))
    assert zlib.crc32(edges.astype("<f4").tobytes()) == EDGES
    assert UINT8.images.lower(np.array([7])).tolist() == [7]
    assert COARSE_UINT16.pixels.lower(np.array([0, 7])).tolist() == [-math.inf, 7 * 256]


EDGES = 312651877


@pytest.mark.parametrize("mantissa", [5, 9, 16])
@given(scores=st.lists(st.one_of(SINGLE, DOUBLE), min_size=2, max_size=20))
def test_a_score_lies_between_the_ends_of_its_bin_and_higher_ones_in_higher_bins(mantissa, scores):
    bins = FloatBins(mantissa)
    ranked = np.sort(scores)
    found = bins.of(ranked)
    assert (np.diff(found) >= 0).all()
    single = np.clip(ranked, -HIGHEST, HIGHEST).astype(np.float32).astype(float)
    ends = bins.lower(np.append(found, found + 1).clip(0, len(bins) - 1))
    low, high = ends[: len(found)], ends[len(found) :]
    assert (low <= single).all()
    assert ((single < high) | (found == len(bins) - 1)).all()
    with np.errstate(invalid="ignore"):
        wide = np.where(np.isfinite(high - low), high - low, 0)
    assert (wide <= np.maximum(np.abs(single), 2.0**-126) * 2.0**-mantissa).all()


@given(scores=st.lists(SINGLE, min_size=1, max_size=40), window=st.sampled_from([1, 40, 2**15]))
def test_both_ways_of_counting_give_the_same(scores, window):
    bins, many = FloatBins(5), np.array(scores, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedad.evaluation.bins.WINDOW", window)
        patch.setattr("fedad.evaluation.bins.CHUNK", 7)
        found, counts = bins.count(many)
    expected = np.unique(bins.of(many), return_counts=True)
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_array_equal(counts, expected[1])


def test_scores_of_every_size_and_sign_take_no_table():
    """The bins are 2^18 and 2^25; what is held, also on the way, is a small part of them."""
    rng = np.random.default_rng(0)
    sizes = np.exp2(rng.uniform(-149, 127, (100, 100))) * rng.choice([-1, 1], (100, 100))
    image = Scored(sizes.astype(np.float32), ())
    tracemalloc.start()
    counts = Counts.of(image) + Counts.of(image)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bins = counts.row(1).bins.size
    assert bins > 9000
    assert held < bins * 64 * 8 * 1.1  # a stretch of 64 bins each at most
    assert most < 5 * held


def test_curves_have_a_threshold_a_bin_of_either_kind():
    """Image scores have finer bins than pixels, whose scores count as the lower end of theirs."""
    mask = np.zeros((1, 3), bool)
    mask[0, 2] = True
    images = [
        Scored(np.array([[-2, 0.5, 1]], np.float32), (), "bolt", "good", score=1000.25),
        Scored(np.array([[-2, 1, 4]], np.float32), (Region(mask, 1),), "bolt", "bad", score=1000.5),
    ]
    columns = curves(reduce(add, map(Counts.of, images)))
    assert columns["threshold"].tolist() == [math.inf, 1000.5, 1000.25, 4, 1, 0.5, -2]
    assert columns["image_tpr"].tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert columns["image_fpr"].tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert columns["spro"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_allclose(columns["fpr"], [0, 0, 0, 0, 0.4, 0.6, 1])


def test_figures_of_integers_are_exact_to_the_last_bit():
    """Nothing is lost in bins of one value: the bound is 0, and holds."""
    for seed, dtype in ((0, "uint8"), (1, "uint16"), (2, "uint8"), (3, "uint16")):
        images = draw(seed, count=20, dtype=dtype)
        exact = break_down(images)
        for key, figure in break_down_counts(reduce(add, map(Counts.of, images)))["all"].items():
            if "auroc" in key or key.endswith("ap") or "f1" in key:
                assert figure.bound == 0
                assert float(figure.value) == exact[key]
    assert UINT8.pixels.lossless
    assert UINT16.images.lossless


def break_down(images):
    return values(measure(rank_exactly(images)))
