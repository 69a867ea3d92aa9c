"""What every file in `fedad/metrics/` promises, tested by its being there."""

import re
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedad.evaluation import Counts, Scored, resample
from fedad.evaluation.exact import rank_exactly
from fedad.evaluation.ranked import rank_counts
from fedad.plugins import names, plugin
from fedad.types import Region
from tests.evaluation.drawn import categories, draw, values

NAMES = names("metrics")
LIMITS = (0.05, 0.3, 1.0)

every_metric = pytest.mark.parametrize("name", NAMES)


def figures(name, images):
    return values(plugin("metrics", name)(rank_exactly(images), LIMITS))


def counts_figures(name, images):
    counts = reduce(add, map(Counts.of, images))
    return plugin("metrics", name)(rank_counts(counts), LIMITS)


def test_the_promised_figures_are_there():
    keys = {key for name in NAMES for key in figures(name, draw(0))}
    assert keys >= {"image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap"}
    assert keys >= {"aupro_0.3", "auc_spro_0.05", "auc_spro_0.3", "auc_spro_1.0"}


def test_no_two_metrics_give_one_key():
    keys = [key for name in NAMES for key in figures(name, draw(0))]
    assert len(keys) == len(set(keys))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*(_\d\.\d+)?", key) for key in keys)


@every_metric
@given(images=categories())
@settings(max_examples=25)
def test_is_a_share_or_nan(name, images):
    for value in figures(name, images).values():
        assert np.isnan(value) or -1e-12 <= value <= 1 + 1e-12


@every_metric
def test_nothing_to_rank_is_nan(name):
    good, bad = draw(1)[::2], draw(1)[1::2]
    everywhere = Scored(np.eye(4), (Region(np.ones((4, 4), bool), 3),), defect="missing")
    for images in ([], good, [everywhere]):
        assert all(np.isnan(value) for value in figures(name, images).values())
    if name.startswith("image"):
        assert all(np.isnan(value) for value in figures(name, bad).values())


@every_metric
@given(
    images=categories(),
    scores=st.lists(st.integers(0, 65535), min_size=9, max_size=9, unique=True).map(sorted),
)
@settings(max_examples=25)
def test_a_monotone_change_of_scores_leaves_it_unchanged(name, images, scores):
    """Integers 1 to 9 become any ascending integers, and then floats."""
    renamed = np.array([0, *scores], np.uint16)
    as_integers = [replace(image, renamed[image.map]) for image in images]
    as_floats = [replace(image, np.cbrt(image.map - 5.0)) for image in as_integers]
    expected = figures(name, images)
    assert figures(name, as_integers) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert figures(name, as_floats) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def replace(image, scores):
    return Scored(scores, image.regions, image.category, image.defect)


@every_metric
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_perfect_map_gives_one(name, dtype):
    images = [replace(image, perfect(image, dtype)) for image in draw(2)]
    assert set(figures(name, images).values()) == {1.0}
    assert set(values(counts_figures(name, images)).values()) == {1.0}


def perfect(image, dtype):
    found = [one.mask for one in image.regions]
    return np.any([np.zeros(image.map.shape, bool), *found], axis=0).astype(dtype)


@every_metric
@given(images=categories())
@settings(max_examples=25)
def test_does_not_depend_on_the_order_of_images_or_regions(name, images):
    turned = [
        Scored(image.map, image.regions[::-1], image.category, image.defect)
        for image in images[::-1]
    ]
    assert figures(name, turned) == pytest.approx(figures(name, images), abs=1e-12, nan_ok=True)


@every_metric
@given(images=categories())
@settings(max_examples=25)
def test_counts_of_integers_give_the_same(name, images):
    found = values(counts_figures(name, images))
    assert found == pytest.approx(figures(name, images), abs=1e-9, nan_ok=True)


@every_metric
def test_replicates_are_figures_of_their_own(name):
    """A batch of replicates gives what each of them gives alone."""
    images = [Counts.coarse(image) for image in draw(3)]
    drawn = resample(images, 5, rng=np.random.default_rng(0))
    together = plugin("metrics", name)(rank_counts(drawn), LIMITS)
    for k in range(6):
        alone = plugin("metrics", name)(rank_counts(drawn.replicate(k)), LIMITS)
        for key, figure in alone.items():
            assert together[key].value[k] == pytest.approx(float(figure.value), abs=1e-12)
            assert together[key].bound[k] == pytest.approx(float(figure.bound), abs=1e-12)


def test_a_new_metric_is_a_file(tmp_path, monkeypatch):
    """The one that `docs/metrics.md` shows."""
    import fedad.metrics
    from fedad.evaluation import breakdown

    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    code = next(part for part in page.split("```python\n") if part.startswith('"""Pixel AUROC up'))
    (tmp_path / "pixel_auroc_low.py").write_text(code.split("```")[0])
    monkeypatch.setattr(fedad.metrics, "__path__", [*fedad.metrics.__path__, str(tmp_path)])
    breakdown._metrics.cache_clear()
    try:
        found = values(breakdown.measure(rank_exactly(draw(0)), LIMITS))
    finally:
        breakdown._metrics.cache_clear()
    assert 0 < found["pixel_auroc_low"] < found["pixel_auroc"]


@given(categories())
def test_spro_is_pro_where_the_whole_region_saturates_it(images):
    whole = [
        Scored(
            image.map,
            tuple(Region(one.mask, int(np.count_nonzero(one.mask))) for one in image.regions),
            defect=image.defect,
        )
        for image in images
    ]
    spro, pro = figures("auc_spro", whole)["auc_spro_0.3"], figures("aupro", whole)["aupro_0.3"]
    assert spro == pytest.approx(pro, abs=1e-12, nan_ok=True)
    assert pro == pytest.approx(figures("aupro", images)["aupro_0.3"], abs=1e-12, nan_ok=True)


@given(categories())
def test_spro_rises_as_less_saturates_it(images):
    less = [
        Scored(
            image.map,
            tuple(Region(one.mask, 1) for one in image.regions),
            defect=image.defect,
        )
        for image in images
    ]
    for key, value in figures("auc_spro", images).items():
        assert np.isnan(value) or figures("auc_spro", less)[key] >= value - 1e-12
