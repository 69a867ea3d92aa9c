"""The official mode against what the official evaluator gave."""

import numpy as np
import pytest

from fedad.errors import DataError
from fedad.metrics import _official as module
from fedad.metrics import spro_areas
from fedad.types import Region
from tests.metrics.drawn import GOLDEN, draw, golden
from tests.metrics.test_exact import areas


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_cases(name):
    images, limits, official = golden(name)
    assert np.abs(np.subtract(areas(images, limits, mode="official"), official)).max() < 1e-9


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
