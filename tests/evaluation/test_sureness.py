"""Intervals of image AUROC cover the truth, near 1 and from few images too; or there is none."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fedad.evaluation import Counts, Scored, resample, summarise
from fedad.evaluation.sureness import Range, Sureness, least_range, mean_range, wilson
from fedad.evaluation.tally import Line
from tests.evaluation.shapes import SHAPES

AUROCS = (0.6, 0.75, 0.9, 0.95, 0.98, 0.99)
SIDES = [(5, 5), (5, 20), (20, 5), (10, 10), (19, 200), (20, 20), (20, 200), (200, 20), (60, 60)]
LEAST = {"normals": 0.93, "exponential": 0.88, "spread_3": 0.88, "like_good": 0.88}
MOST = 0.975  # of equal normals from 20 images a side on


def sureness(good: np.ndarray, bad: np.ndarray) -> Sureness:
    return Sureness.of(*(Line(*np.unique(side, return_counts=True)) for side in (good, bad)))


def covered(shape: str, auroc: float, sides: tuple[int, int], repetitions: int) -> float:
    rng = np.random.default_rng([*sides, int(1000 * auroc), *map(ord, shape)])
    hits = 0
    for _ in range(repetitions):
        found = sureness(*SHAPES[shape](auroc, *sides, rng)).interval()
        hits += found.low <= auroc <= found.high
    return hits / repetitions


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("auroc", [0.6, 0.9, 0.984])
@pytest.mark.parametrize("sides", [(5, 5), (20, 5), (20, 20), (200, 20), (60, 60)], ids=str)
def test_intervals_cover(shape, auroc, sides):
    """400 repetitions: within 2.5 standard errors."""
    found, least = covered(shape, auroc, sides, 400), LEAST[shape]
    assert found >= least - 2.5 * math.sqrt(least * (1 - least) / 400)
    if shape == "normals" and min(sides) >= 20:
        assert found <= MOST + 2.5 * math.sqrt(MOST * (1 - MOST) / 400)


@pytest.mark.reliability
def test_intervals_cover_over_the_whole_grid(capsys):
    """2,000 repetitions of each of 240 cells: within 2.5 standard errors."""
    told = {
        (shape, sides): [covered(shape, auroc, sides, 2000) for auroc in AUROCS]
        for shape in SHAPES
        for sides in [*SIDES, (200, 200)]
    }
    with capsys.disabled():
        print(f"\n{'shape':12} good + bad ", *(f"{auroc:5}" for auroc in AUROCS))
        for (shape, sides), row in told.items():
            print(f"{shape:12} {sides[0]:4} + {sides[1]:3} ", *(f"{value:.3f}" for value in row))
    for (shape, sides), row in told.items():
        for auroc, found in zip(AUROCS, row, strict=True):
            least = LEAST[shape]
            assert found >= least - 2.5 * math.sqrt(least * (1 - least) / 2000), (shape, sides)
            if shape == "normals" and min(sides) >= 20:
                assert found <= MOST + 2.5 * math.sqrt(MOST * (1 - MOST) / 2000), (sides, auroc)


def test_its_parts_are_mann_whitneys_and_delongs():
    """DeLong's variance by hand, from every pair; ties count half."""
    rng = np.random.default_rng(0)
    good, bad = rng.integers(0, 12, 30), rng.integers(4, 16, 17)
    found = sureness(good, bad)
    pairs = (bad[:, None] > good) + 0.5 * (bad[:, None] == good)
    truth = np.repeat([0, 1], [30, 17])
    assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([good, bad])))
    by_hand = pairs.mean(1).var(ddof=1) / 17 + pairs.mean(0).var(ddof=1) / 30
    assert found.variance == pytest.approx(by_hand)
    assert found.shown == min(
        *((p < 1).sum() for p in (pairs.mean(0), pairs.mean(1))),
        *((p > 0).sum() for p in (pairs.mean(0), pairs.mean(1))),
    )


def test_wilsons_interval_is_the_textbooks():
    """Of 81 in 263: .2553 to .3662 (Newcombe, 1998)."""
    assert wilson(81 / 263, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_all_ranked_rightly_is_not_certain():
    few, many = (sureness(np.arange(n), 1000 + np.arange(n)).interval() for n in (5, 200))
    assert few.high == many.high == 1.0
    assert few.low < 0.75
    assert 0.97 < many.low < 0.995


@pytest.mark.parametrize(("good", "bad"), [(4, 50), (50, 4), (1, 1)])
def test_too_few_images_have_a_reason_in_place_of_an_interval(good, bad):
    found = sureness(np.arange(good), np.arange(bad) + 0.5).interval()
    assert found.reason == "under 5 images"
    assert math.isnan(found.low)


def test_nothing_to_rank_and_wide_bins_have_reasons():
    assert sureness(np.arange(5), np.arange(0)).interval().reason == "nothing to rank"
    both = sureness(np.arange(9), np.arange(9) + 3)
    assert both.interval(bound=0.1).reason == "wide bins"
    assert both.interval(bound=0.01).low == pytest.approx(both.interval().low - 0.01)


def test_a_wider_confidence_gives_a_wider_interval():
    some = sureness(np.arange(30), np.arange(30) + 12)
    widths = [one.high - one.low for one in (some.interval(c) for c in (0.5, 0.8, 0.95))]
    assert widths == sorted(widths)


def test_the_interval_of_a_mean():
    parts = [(0.9, Range(0.8, 0.95)), (0.7, Range(0.6, 0.8))]
    found = mean_range(0.8, parts)
    assert found.low == pytest.approx(0.8 - math.hypot(0.1, 0.1) / 2)
    assert found.high == pytest.approx(0.8 + math.hypot(0.05, 0.1) / 2)
    alike = least_range(0.8, [one for _, one in parts])
    assert (alike.low, alike.high) == pytest.approx((0.7, 0.875))
    none = [*parts, (0.5, Range.none("under 5 images"))]
    assert mean_range(0.7, none).reason == "under 5 images"
    assert least_range(0.7, [one for _, one in none]).reason == "under 5 images"


def test_means_over_products_cover():
    rng, hits = np.random.default_rng(3), 0
    truths = (0.75, 0.95, 0.99)
    for _ in range(400):
        some = [sureness(*SHAPES["normals"](auroc, 10, 10, rng)) for auroc in truths]
        parts = [(one.value, one.interval()) for one in some]
        found = mean_range(float(np.mean([value for value, _ in parts])), parts)
        hits += found.low <= np.mean(truths) <= found.high
    assert hits / 400 >= 0.92


def test_a_site_and_the_sum_of_sites_have_the_interval_of_all_their_images():
    """From counts in bins, which are what leaves a site."""
    rng = np.random.default_rng(5)
    good, bad = SHAPES["normals"](0.9, 24, 24, rng)
    images = [_image(score, "good") for score in good] + [_image(score, "bad") for score in bad]
    parts = [images[::2], images[1::2]]
    counts = sum((Counts.of(image) for part in parts for image in part), Counts())
    drawn = [resample([Counts.coarse(i) for i in part], 20, rng=rng) for part in parts]
    told = summarise(counts, drawn[0] + drawn[1])["categories"]["bolt"]["figures"]
    exact = sureness(good, bad).interval()
    assert told["image_auroc"]["low"] == pytest.approx(exact.low, abs=2e-3)
    assert told["image_auroc"]["high"] == pytest.approx(exact.high, abs=2e-3)
    assert told["image_auroc"]["no_interval"] == told["image_ap"]["no_interval"] == ""


def test_other_figures_have_an_interval_from_twenty_images_a_side_on():
    rng = np.random.default_rng(6)
    for sides, reason in (((19, 30), "under 20 images"), ((20, 20), "")):
        good, bad = SHAPES["normals"](0.9, *sides, rng)
        images = [_image(s, "good") for s in good] + [_image(s, "bad") for s in bad]
        drawn = resample([Counts.coarse(image) for image in images], 50, rng=rng)
        told = summarise(sum(map(Counts.of, images), Counts()), drawn)
        for figures in (told["mean"], told["categories"]["bolt"]["figures"]):
            assert figures["image_ap"]["no_interval"] == reason
            assert math.isnan(figures["image_ap"]["low"]) == bool(reason)
            assert not math.isnan(figures["image_auroc"]["low"])


def test_what_no_redraw_changes_has_no_interval_of_no_width():
    images = [_image(k / 100, "good") for k in range(20)]
    images += [_image(5 + k, "bad") for k in range(20)]
    drawn = resample([Counts.coarse(i) for i in images], 50, rng=np.random.default_rng(0))
    told = summarise(sum(map(Counts.of, images), Counts()), drawn)["mean"]
    assert told["image_ap"]["no_interval"] == "no scatter"
    assert told["image_auroc"]["low"] < 0.95 < told["image_auroc"]["high"]


def _image(score: float, defect: str) -> Scored:
    regions = () if defect == "good" else None
    return Scored(np.full((2, 2), score, np.float32), regions, "bolt", defect, score=float(score))
