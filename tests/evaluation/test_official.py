"""The official mode against what the official evaluator gave."""

import numpy as np
import pytest

from fedad.errors import DataError
from fedad.evaluation import official as module
from fedad.evaluation import spro_areas
from fedad.types import Region
from tests.evaluation.drawn import GOLDEN, draw, golden, region
from tests.evaluation.test_exact import areas


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_cases(name):
    images, limits, official = golden(name)
    assert np.abs(np.subtract(areas(images, limits, mode="official"), official)).max() < 1e-9


SMALL = {  # seed, height, width -> what the official evaluator gave for `hashed` of them
    (0, 23, 53): (
        *(0.2623803898240568, 0.2894177046950578, 0.3287983796086151),
        *(0.5737224459935899, 0.8702880100752859),
    ),
    (11, 31, 47): (
        *(0.1587505026135907, 0.2045435444639997, 0.28432315252427376),
        *(0.5622002170851268, 0.8675144357214895),
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_small_cases_in_which_few_gaps_are_wide(case):
    """Here the order of equally wide gaps, and where spare thresholds go, moves the area."""
    maps, regions = hashed(*case)
    found = spro_areas(maps, regions, mode="official")
    assert list(found.values()) == pytest.approx(SMALL[case], abs=1e-12)


def hashed(seed, height, width):
    """Three uint16 maps with none, one and two regions, the same on every machine."""
    maps, regions = [], []
    for i in range(3):
        number = np.arange(height * width, dtype=np.uint64) + np.uint64(1_000_000 * i + 7919 * seed)
        scores = (number * np.uint64(2654435761) % np.uint64(2**32)) >> np.uint64(17)
        scores, found = scores.astype(np.uint16).reshape(height, width), []
        for c in range(i):
            mask = np.zeros(scores.shape, bool)
            mask[3 : 9 + 8 * c, 2 + 5 * c : 9 + 9 * c] = True
            scores[mask] += np.uint16(1500)
            found.append(region(mask, 0.4, True))
        maps.append(scores)
        regions.append(found)
    return maps, regions


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_is_close_to_the_exact_curve(dtype):
    images = draw(5, dtype=dtype)
    assert areas(images, mode="official") == pytest.approx(areas(images), abs=5e-4)


def test_maps_of_several_sizes_are_refused():
    with pytest.raises(DataError, match=r"map 1 is 5 x 5, map 0 4 x 4.*one size a category"):
        spro_areas([np.eye(4), np.eye(5)], [[], []], mode="official")


def test_the_sample_is_drawn_from_the_given_stream(monkeypatch):
    images = draw(6, dtype="float64")
    whole = areas(images, mode="official")
    monkeypatch.setattr(module, "PIXELS", 2000)
    first, again, other = (
        areas(images, mode="official", rng=np.random.RandomState(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first == pytest.approx(whole, abs=5e-3)
    modern = areas(images, mode="official", rng=np.random.default_rng(1))
    assert modern == pytest.approx(whole, abs=5e-3)


def test_a_sample_that_misses_the_extremes_still_spans_the_curve(monkeypatch):
    """The two end thresholds lie beyond all scores, not beyond the sampled ones."""
    monkeypatch.setattr(module, "PIXELS", 60)
    scores = np.random.default_rng(0).normal(size=(40, 40))
    scores[0, 0], scores[0, 1] = 50, -50
    mask = np.zeros((40, 40), bool)
    mask[20:30, 20:30] = True
    found = spro_areas([scores], [[Region(mask, 50)]], [1.0], mode="official")
    assert found[1.0] == pytest.approx(
        spro_areas([scores], [[Region(mask, 50)]], [1.0])[1.0], abs=0.02
    )


def test_nothing_to_rank_is_nan():
    everywhere = Region(np.ones((3, 3), bool), 5)
    assert np.isnan(spro_areas([np.eye(3)], [[]], [0.3], mode="official")[0.3])
    assert np.isnan(spro_areas([np.eye(3)], [[everywhere]], [0.3], mode="official")[0.3])
