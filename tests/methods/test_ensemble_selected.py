"""Members that are selected by drawn defects, and images that are each held out once."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fedad.averaging.moments import Moments, moments_of
from fedad.ensembles import outputs, parts
from fedad.ensembles.calibrating import BINS, ScoreCounts, ScoreSums, counts_of
from fedad.ensembles.drawing import Images
from fedad.ensembles.held import folds_of
from fedad.ensembles.selecting import (
    MOST,
    Measures,
    candidates,
    check_measures,
    errors_of,
    of_images,
    of_maps,
    selected,
    weights_of,
)
from fedad.errors import ConfigError, UploadError
from fedad.methods.base import Turn, method_of
from fedad.methods.gaussian import Knobs as GaussianKnobs
from fedad.methods.subspace import Knobs as SubspaceKnobs
from fedad.round import fit, learn, merge
from fedad.types import Enrolled, Features, Site
from tests.contracts.drawn_sites import MARK_16, config_of, site
from tests.contracts.test_methods import same

SITES = [site("graz", count=6), site("lyon", count=6), site("turin", count=6)]
WHOLE = Site("all", tuple(s for one in SITES for s in one.train), ())
SIDE = 32


def image_of(name):
    """Some stripes with noise, by the image's name."""
    rng = np.random.default_rng([*name.encode()])
    stripes = 100 + 40 * np.sin(np.arange(SIDE) / 3)[:, None, None] * np.ones((1, SIDE, 3))
    return (stripes + rng.normal(0, 4, stripes.shape)).clip(0, 255).astype(np.uint8)


def network(images):
    """Features (n, 4, 4, 6): the mean and spread of each colour of each cell."""
    cells = np.stack(images).reshape(len(images), 4, 8, 4, 8, 3).astype(np.float32)
    return np.concatenate([cells.mean((2, 4)), cells.std((2, 4))], axis=-1)


def embed(samples):
    names = tuple(sample.name for sample in samples)
    grid = network([image_of(name) for name in names])
    return Features(grid, tuple(sample.category for sample in samples), names, MARK_16)


@dataclass(frozen=True, eq=False)
class Pixels(Images):
    """Images and their network, of which some may be taken."""


@pytest.fixture(autouse=True)
def pixels(monkeypatch):
    def with_pixels(features, embed, samples):
        images = [image_of(sample.name) for sample in samples]
        return replace(features, pixels=Pixels(images, network))

    monkeypatch.setattr("fedad.embedders.pixels.with_pixels", with_pixels)


def ensemble(**more):
    own = {"members": "patchcore,gaussian,subspace", "combine": "selected", "least-images": 1}
    config = config_of("ensemble", **{**own, "holdout": 0.4, "draws": 2, **more})
    few = {
        "gaussian": GaussianKnobs(block=4, dimensions=3, least_images=1),
        "subspace": SubspaceKnobs(dimensions=3, least_images=1),
    }
    all_rows = replace(config.coreset, local_ratio=1.0)
    return replace(config, coreset=all_rows, plugins={**config.plugins, **few})


@pytest.fixture
def by_name(monkeypatch):
    """The same images in the same folds whatever the site, and defects made of the image alone."""

    def folds(features, count, share, seed):
        numbers = range(len(features.images))
        of_image = [int(name[-1]) % max(2, count) for name in features.images]
        found = []
        for fold in range(count):
            held = [k for k in numbers if of_image[k] == fold]
            found.append(([k for k in numbers if k not in held], held))
        return found

    def alone(features, product, numbers):
        for k in numbers:
            if features.categories[k] == product:
                yield features.take([k]), [0]

    for module in (parts, outputs):
        monkeypatch.setattr(module, "folds_of", folds)
    monkeypatch.setattr(outputs, "few_of", alone)


@pytest.mark.parametrize(
    ("folds", "calibration"), [(1, "z"), (3, "z"), (2, "p"), (1, "quantile"), (1, "e")]
)
def test_federated_evidence_is_the_centralised_one(by_name, folds, calibration):
    config = ensemble(folds=folds, calibration=calibration)
    together, apart = (learn(config, sites, embed).model for sites in ([WHOLE], SITES))
    for part, kind in (("sums", ScoreSums), ("trials", ScoreCounts), ("measures", Measures)):
        one, other = together.part(part, kind), apart.part(part, kind)
        assert one.categories == other.categories == ("bolt", "hose")
        for name in vars(one):
            if isinstance(mine := getattr(one, name), np.ndarray):
                np.testing.assert_allclose(getattr(other, name), mine, rtol=1e-6, atol=1e-6)
    images = together.part("measures", Measures).images.tolist()
    assert images == [3 * 6 if folds > 1 else 3 * 3] * 2
    method = method_of(config)
    assert (
        method.describe(apart)["weights_by_category"]
        == (method.describe(together)["weights_by_category"])
    )


def test_each_image_is_held_out_once_and_members_that_judge_learn_of_all():
    config = ensemble(folds=3)
    learned, method = learn(config, SITES, embed), method_of(config)
    names = [step.part.name for step in method.steps]
    assert names[-3:] == ["member patchcore", "member gaussian", "member subspace"]
    assert names[-6:-3] == ["sums", "trials", "measures"]
    assert [name for name in names if "less" in name] == names[:9]
    assert not [name for name in learned.model.sizes() if "less" in name]  # they judge nothing
    images = [s.by_product() for s in (learned.model.part("sums", ScoreSums),)]
    assert images == [{"bolt": 18, "hose": 18}]
    method_alone = method.seen.members["subspace"]
    assert method_alone.describe(
        learned.model.part("member subspace", method_alone.rounds[-1].model)
    )["images_by_category"] == {"bolt": 18, "hose": 18}
    maps, scores = method.score(learned.model, embed(SITES[0].test))
    assert np.isfinite(maps).all()
    assert np.isfinite(scores).all()


def test_no_member_scores_an_image_that_it_has_learned_of(monkeypatch):
    """A bank of all rows has distance 0 to what it has seen."""
    config = ensemble(folds=2, members="patchcore")
    model = learn(config, SITES[:1], embed).model
    lowest = model.part("trials", ScoreCounts).good[0, 1]  # of maps, in standard units
    sums = model.part("sums", ScoreSums)
    assert sums.sums[0, 1] > 0
    assert int(np.argmax(lowest > 0)) > 0
    seen = method_of(config).seen
    one = embed(SITES[0].train).take([0])
    assert seen.outputs(model, one)[1].max() == pytest.approx(0, abs=1e-3)


def test_folds_are_even_and_keep_the_images_of_one_part_together():
    features = embed(SITES[0].train)
    found = folds_of(features, 3, 0.2, 0)
    held = [k for _, numbers in found for k in numbers]
    assert sorted(held) == list(range(12))
    for learned, numbers in found:
        assert sorted([*learned, *numbers]) == list(range(12))
        assert len(numbers) == 4
    pairs = replace(features, shown=tuple(str(k // 2) for k in range(12)))
    for _, numbers in folds_of(pairs, 3, 0.2, 0):
        assert all(k ^ 1 in numbers for k in numbers)


def moments(columns):
    """Of measures (n, P) of images."""
    values = np.asarray(columns, float)
    return moments_of([values], values.shape[1])


def measured(images, maps):
    """Of three members' candidates: measures of images' scores and of maps, (n, Q) each."""
    return moments(np.concatenate([images, maps], axis=1))


def test_a_member_joins_where_it_surely_helps_and_no_other_does():
    every, rng = candidates(3), np.random.default_rng(0)
    assert every == ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    images, noise = rng.normal(0.5, 0.05, (40, 1)), rng.normal(0, 0.01, (40, 7))
    helps = images + noise + np.array([0, 0.1, 0, 0, 0, 0.2, 0.2])
    one_alone = images + noise + np.array([0, 0, 0.2, 0.3, 0.1, 0.1, 0.4])
    assert selected(measured(helps, one_alone), 3) == ((1, 2), (2,))
    nothing = images + 10 * noise + np.array([0.0, 0.0, 0.01, 0, 0.02, 0.02, 0.02])
    assert [len(one) for one in selected(measured(nothing, nothing), 3)] == [1, 1]
    assert selected(measured(helps[:1], helps[:1]), 3)[0] == (int(np.argmax(helps[0, :3])),)
    assert max(map(len, candidates(6))) == MOST
    assert weights_of((0, 2), 3).tolist() == [0.5, 0, 0.5]


def test_errors_of_differences_are_paired():
    values = np.random.default_rng(1).normal(size=(30, 4))
    values[:, 3] = values[:, 0] + 0.1
    found = errors_of(moments(values))
    wanted = (values[:, 0] - values[:, 1]).std(ddof=1) / np.sqrt(30)
    assert found[0, 1] == pytest.approx(wanted)
    assert found[0, 3] == pytest.approx(0, abs=1e-6)
    assert np.isinf(errors_of(Moments(1, np.ones(2), np.ones(3)))).all()


def test_measures_are_those_of_the_scores():
    rng = np.random.default_rng(2)
    good, drawn = rng.normal(size=80), rng.normal(1.5, 1, (80, 3))
    counts = [counts_of([v.ravel()], np.zeros(1), np.ones(1))[0] for v in (good, drawn)]
    images = of_images(good, drawn, *counts)
    assert images.mean() == pytest.approx((drawn.ravel()[:, None] > good).mean(), abs=0.01)
    maps, values = rng.normal(size=(80, 40)), rng.normal(2, 1, (80, 3, 40))
    shown = rng.random((80, 3, 40)) < 0.2
    shown[:, :, 0] = True
    (of_good,) = counts_of([maps.ravel()], np.zeros(1), np.ones(1))
    limits = np.quantile(maps, 1 - np.linspace(0, 0.05, 401)[1:])
    wanted = [
        np.mean([(value[mask] > limits[:, None]).mean() for value, mask in zip(*pair, strict=True)])
        for pair in zip(values, shown, strict=True)
    ]
    assert of_maps(values, shown, of_good) == pytest.approx(np.array(wanted), abs=0.02)
    assert len(of_good) == BINS


def test_measures_that_no_images_have_are_refused():
    enrolled = Enrolled("graz", {"bolt": 6}, {}, MARK_16, 6, 1.0)
    about = {"images": np.array([5]), "categories": ("bolt",), "sites": ("graz",)}
    values = np.random.default_rng(3).uniform(0, 1, (5, 2 * len(candidates(2))))

    def sent(moments, images=5, **more):
        told = {**about, "images": np.array([images]), "fingerprint": MARK_16, **more}
        size = len(moments.sums)
        table = [[moments]]
        return Measures.made_of(table, cells=1, dimensions=size, features=size, about=told)

    check_measures(sent(moments(values)), enrolled, 2, 2)
    honest = moments(values)
    for wrong, word in (
        (sent(moments(values[:, :4])), "shape"),
        (sent(honest, images=4), "counts"),
        (sent(moments(values + 9)), "counts"),
        (sent(honest._replace(products=-honest.products)), "counts"),
        (sent(honest._replace(products=99 + honest.products)), "counts"),
    ):
        with pytest.raises(UploadError) as refused:
            check_measures(wrong, enrolled, 2, 2)
        assert refused.value.reason == word


def test_a_selection_needs_no_more_than_what_it_is_made_of(tmp_path):
    """What is honest is admitted in every round, as the server hears it."""
    config = ensemble(folds=2)
    method, turn = method_of(config), Turn()
    for kinds in method.rounds:
        uploads = []
        for plant in SITES:
            local = fit(config, plant, embed, turn)
            heard = kinds.upload.unpack(*local.upload.pack())
            told = {"bolt": 6, "hose": 6}
            about = Enrolled(plant.name, told, told, MARK_16, 6, 1000.0)
            admitted, odd = method.admit(heard, method.expected(about, turn), turn)
            assert odd == []
            uploads.append(admitted)
        model = merge(config, uploads, turn)
        turn = Turn(turn.number + 1, type(model).unpack(*model.pack()))
    same(turn.model, learn(config, SITES, embed).model)


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"folds": 2, "head": "nearest"}, r"ensemble\.folds = 2 and ensemble\.head = 'nearest'"),
        ({"folds": 2, "combine": "none", "head": "nearest"}, r"ensemble\.folds = 2: with .*'none'"),
    ],
)
def test_folds_that_nothing_is_learned_by_are_refused(knobs, told):
    with pytest.raises(ConfigError, match=told):
        method_of(ensemble(**knobs))


def test_an_image_may_be_scored_by_the_highest_of_the_combined_map():
    config = ensemble(image="map", members="patchcore,subspace")
    by_scores = ensemble(members="patchcore,subspace")
    model, features = learn(config, SITES, embed).model, embed(SITES[0].test)
    maps, scores = method_of(config).score(model, features)
    np.testing.assert_array_equal(scores, maps.max((1, 2)))
    same(learn(by_scores, SITES, embed).model, model)
    again, others = method_of(by_scores).score(model, features)
    np.testing.assert_array_equal(again, maps)
    assert not np.array_equal(others, scores)
