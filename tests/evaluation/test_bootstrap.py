"""Intervals: they cover at their rate, repeat, add over sites and stay small."""

import time

import numpy as np
import pytest

from fedad.errors import ConfigError
from fedad.evaluation import Counts, Scored, bootstrap, pack, resample, summarise, unpack
from fedad.evaluation.breakdown import break_down_counts
from fedad.evaluation.curve import Bounded
from fedad.evaluation.resampling import FARTHEST, LOOSEST, _draws, interval, tells
from fedad.evaluation.scored import Cell
from fedad.seeding import stream
from fedad.types import Region
from tests.evaluation.drawn import draw, same, values

SITES = {"graz": draw(0, count=16), "lyon": draw(1, count=20, category="hose")}


def coarse(images):
    return [Counts.coarse(image) for image in images]


def of_site(name, seed=3, replicates=200):
    rng = stream(seed, name, "bootstrap")
    return resample(coarse(SITES[name]), replicates, rng=rng)


def test_each_stratum_keeps_its_number_of_images():
    cells = [Cell("bolt", "good")] * 5 + [Cell("bolt", "missing")] * 3 + [Cell("hose", "good")] * 2
    weights = _draws(cells, 400, np.random.default_rng(0))
    for part in (slice(0, 5), slice(5, 8), slice(8, 10)):
        assert (weights[:, part].sum(axis=1) == weights[0, part].sum()).all()
    assert (weights.sum(axis=1) == 10).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(10), abs=0.2)
    assert weights.max() > 1


def test_replicate_0_is_the_images_as_they_are():
    drawn, plain = of_site("graz"), sum(coarse(SITES["graz"]), Counts())
    assert same(drawn.replicate(0), plain)
    assert not same(drawn.replicate(1), plain)


def test_replicates_of_sites_add_and_repeat():
    one, two = of_site("graz"), of_site("lyon")
    assert (one + two).batch == (201,)
    assert same(one + two, of_site("lyon") + of_site("graz"))
    assert same((one + two).replicate(7), one.replicate(7) + two.replicate(7))
    assert not same(of_site("graz", seed=4), one)


def test_replicates_are_sums_of_images_drawn():
    images, rng = coarse(SITES["graz"]), np.random.default_rng(3)
    drawn = resample(images, 5, rng=np.random.default_rng(3))
    weights = _draws([cell for image in images for cell in image.cells], 5, rng)
    for k, times in enumerate(weights):
        by_hand = sum((i for i, n in zip(images, times, strict=True) for _ in range(n)), Counts())
        assert (drawn.replicate(1 + k).totals().sum(0) == by_hand.totals().sum(0)).all()
        for row in range(5):
            one, other = drawn.replicate(1 + k).row(row), by_hand.row(row)
            np.testing.assert_array_equal(one.bins, other.bins)
            np.testing.assert_array_equal(one.values, other.values)


def test_replicates_are_small_on_the_wire_and_come_back():
    drawn = of_site("graz")
    header, arrays = pack(drawn)
    assert sum(array.nbytes for array in arrays.values()) < 250_000 * len(drawn.cells)
    assert same(unpack(header, arrays), drawn)


def test_a_report_with_replicates_has_intervals_around_its_figures():
    """Or a reason: figures of one defect or kind rest on fewer than 20 images a side."""
    some = {"graz": draw(0, count=48), "lyon": draw(1, count=60, category="hose")}
    counts = sum((Counts.of(image) for images in some.values() for image in images), Counts())
    drawn = {
        name: resample(coarse(images), 200, rng=stream(3, name, "bootstrap"))
        for name, images in some.items()
    }
    found = summarise(counts, drawn["graz"] + drawn["lyon"])
    groups = [found["pooled"], *found["categories"].values()]
    groups += [part for group in groups for part in group["by_defect"].values()]
    groups += [part for group in groups[:3] for part in group["by_kind"].values()]
    for group in groups:
        fewer = min(group["sizes"][f"{side}_images"] for side in ("good", "defective"))
        for key, figure in group["figures"].items():
            least = 5 if key == "image_auroc" else 20
            assert figure["no_interval"] == ("" if fewer >= least else f"under {least} images")
    for figures in [found["mean"], *(group["figures"] for group in groups)]:
        for figure in figures.values():
            if figure["no_interval"]:
                assert np.isnan([figure["low"], figure["high"]]).all()
                continue
            assert 0 <= figure["low"] <= figure["value"] + 0.02
            assert figure["value"] - 0.02 <= figure["high"] <= 1
        assert figures["image_auroc"]["high"] - figures["image_auroc"]["low"] > 0.02
    area = found["categories"]["bolt"]["figures"]["pixel_auroc"]  # of 24 good and 24 defective
    replicates = break_down_counts(drawn["graz"])["all"]["pixel_auroc"].value
    assert (area["low"], area["high"]) == interval(area["value"], replicates, 24, 0.95)
    without = summarise(counts)["mean"]["image_auroc"]
    assert np.isnan([without["low"], without["high"]]).all()
    assert without["no_interval"] == "not redrawn"


def test_fewer_images_give_a_wider_interval():
    drawn = np.random.default_rng(0).normal(0.5, 0.05, 1001)
    widths = [high - low for low, high in (interval(0.5, drawn, n, 0.95) for n in (500, 20, 5))]
    assert widths == sorted(widths)
    assert widths[0] == pytest.approx(2 * 1.96 * 0.05, rel=0.1)


def test_a_wider_confidence_gives_a_wider_interval():
    images = draw(0, count=48)
    counts, widths = sum(map(Counts.of, images), Counts()), []
    drawn = resample(coarse(images), rng=np.random.default_rng(0))
    for confidence in (0.5, 0.8, 0.95):
        figure = summarise(counts, drawn, confidence=confidence)["mean"]["pixel_auroc"]
        widths.append(figure["high"] - figure["low"])
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_chunks_draw_as_many_replicates_as_asked(monkeypatch):
    monkeypatch.setattr("fedad.evaluation.resampling.CHUNK", 20_000)
    found = bootstrap(coarse(SITES["graz"]), 40, rng=np.random.default_rng(0))
    drawn = found["all"]["pixel_auroc"].value
    assert drawn.shape == (41,)
    plain = values(break_down_counts(sum(coarse(SITES["graz"]), Counts()))["all"])
    assert drawn[0] == pytest.approx(plain["pixel_auroc"])
    assert len(set(drawn[1:])) > 30


def test_replicates_that_ranked_nothing_are_left_out():
    """One defect has a single image, which some replicates do not draw."""
    images = draw(2, count=8)
    found = bootstrap(coarse(images), 50, rng=np.random.default_rng(1))
    drawn = found["defect:missing"]["pixel_auroc"].value
    assert np.isnan(drawn[1:]).any()
    low, high = interval(drawn[0], drawn, 2, 0.95)
    assert 0 <= low < high <= 1
    assert np.isnan(interval(0.7, np.array([0.7, np.nan]), 2, 0.95)).all()
    assert np.isnan(interval(0.7, np.array([0.7, 0.6]), 1, 0.95)).all()


@pytest.mark.parametrize("side", [20, 40])
def test_intervals_cover_at_their_rate(side):
    """A world of 2,000 images a side; 95 % intervals from 20 and 20 or 40 and 40 of them, 250 times
    over. Image AUROC has intervals of its own."""
    world = [tiny_images(seed, 2000) for seed in (0, 1)]
    truth = values(break_down_counts(sum(world[0] + world[1], Counts()))["all"])
    del truth["image_auroc"]
    rng, hits = np.random.default_rng(5), dict.fromkeys(truth, 0)
    for _ in range(250):
        taken = [one[k] for one in world for k in rng.integers(0, 2000, side)]
        drawn = break_down_counts(resample(taken, 200, rng=rng))["all"]
        for key in hits:
            figure = drawn[key]
            low, high = interval(float(figure.value[0]), figure.value, side, 0.95)
            hits[key] += low <= truth[key] <= high
    least = 0.90 if side == 40 else 0.87
    for key, hit in hits.items():
        assert least <= hit / 250 <= 0.985, key


@pytest.mark.parametrize(("centre", "spread"), [(0, 1), (1000, 100), (1000, 0.3), (-1000, 0.001)])
def test_no_interval_stands_where_wide_bins_cannot_tell_scores_apart(centre, spread):
    """Logits about 1,000 share one wide bin: their replicates are all alike, however unsure."""
    images = [
        Scored(
            (centre + spread * 2 * np.log(one.map)).astype(np.float32),
            one.regions,
            one.category,
            one.defect,
        )
        for one in draw(0, count=48)
    ]
    drawn = resample(coarse(images), rng=np.random.default_rng(0))
    told = summarise(sum(map(Counts.of, images), Counts()), drawn)
    for figures in (told["mean"], told["pooled"]["figures"]):
        for key, figure in figures.items():
            assert figure["high"] - figure["low"] != 0  # NaN, or a width
            if spread >= 0.1 * abs(centre):
                assert figure["low"] < figure["value"] + 0.02
            elif not key.startswith("image"):
                assert np.isnan([figure["low"], figure["high"]]).all()
        if spread < 0.01:
            assert np.isnan(figures["image_auroc"]["low"])


def test_replicates_tell_while_replicate_0_is_close_and_bound_closely():
    def told(value, first, bound):
        drawn = np.array([first, 0.5, 0.9])
        return tells(value, Bounded(drawn, np.full(3, bound)))

    assert told(0.7, 0.7, 0)
    assert told(0.7, 0.7 + 0.9 * FARTHEST, 0.9 * LOOSEST)
    assert not told(0.7, 0.7 + 1.1 * FARTHEST, 0)
    assert not told(0.7, 0.7, 1.1 * LOOSEST)
    assert not told(np.nan, 0.7, 0)
    assert not told(0.7, np.nan, np.nan)


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(ConfigError, match="confidence = "):
        summarise(Counts(), confidence=confidence)


def tiny_images(defective: int, count: int) -> list[Counts]:
    rng = np.random.default_rng(defective)
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = True
    images = []
    for _ in range(count):
        scores = np.exp(0.4 * rng.normal(size=(4, 4)) + 0.3 * rng.normal())
        if defective:
            scores[mask] *= np.exp(0.5 * rng.normal() + 0.4)
            image = Scored(scores, (Region(mask, 3),), "bolt", "missing")
        else:
            image = Scored(scores, (), "bolt", "good")
        images.append(Counts.coarse(image))
    return images


def test_ten_thousand_resamples_take_seconds():
    images = coarse(draw(4, count=200, size=(20, 20)))
    began = time.perf_counter()
    found = bootstrap(images, 10_000, rng=np.random.default_rng(0))
    assert found["all"]["auc_spro_0.05"].value.shape == (10_001,)
    assert time.perf_counter() - began < 60
