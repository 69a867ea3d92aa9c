"""Replicates of a cell are moved to the record's figure, unless their bins cannot tell it."""

import numpy as np

from fedad.compare.drawn import _moved, figures_of_draws, judged_of
from fedad.evaluation import Counts, Scored, stacked
from fedad.evaluation.breakdown import measure
from fedad.evaluation.curve import Bounded
from fedad.evaluation.exact import rank_exactly
from fedad.reporting.per_image import _ALL, PerImage
from tests.evaluation.drawn import draw, values


def kept(images: list[Scored], names: list[str]) -> PerImage:
    return PerImage(
        tuple(names),
        tuple(image.cell for image in images),
        np.array([image.image_score for image in images]),
        np.full(len(images), np.nan),
        stacked([Counts.coarse(image) for image in images], _ALL),
    )


def test_replicates_follow_the_figure_where_their_bins_tell_it():
    drawn = Bounded(np.array([0.7, 0.6, 0.8]), np.full(3, 0.01))
    np.testing.assert_allclose(_moved(drawn, 0.72), [0.72, 0.62, 0.82])
    np.testing.assert_array_equal(_moved(drawn, np.nan), drawn.value)
    for loose in (Bounded(drawn.value, np.full(3, 0.4)), Bounded(np.full(3, 0.5), drawn.bound)):
        np.testing.assert_array_equal(_moved(loose, 0.72), [0.72, np.nan, np.nan])


def test_image_figures_are_exact_and_pixel_figures_bound_whatever_the_scores():
    images = [
        Scored((1000 + np.log(one.map)).astype(np.float32), one.regions, one.category, one.defect)
        for one in draw(1, count=24)
    ]
    names = [f"{k:02d}" for k in range(24)]
    judged = judged_of([kept(images[::2], names[::2]), kept(images[1::2], names[1::2])], "bolt")
    assert judged.names == tuple(names)
    found = figures_of_draws(judged, np.ones((300, 24), int))
    for key, exact in values(measure(rank_exactly(images))).items():
        assert found[key].value.shape == (300,)
        assert len(set(found[key].value)) == 1
        off = abs(found[key].value[0] - exact)
        assert off <= (1e-12 if key.startswith("image") else found[key].bound[0]), key
