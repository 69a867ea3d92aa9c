"""Who goes where, what adaptation does and hides, and that sums are those of one site."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.config import read
from fedad.embedders.in_parts import InParts
from fedad.errors import ConfigError, DataError, UploadError
from fedad.judging.admission import admit_upload
from fedad.methods._adaptation import Place, adapted, measured, place_of
from fedad.methods._calibration import counted, line_of
from fedad.methods._router import key_of, signature, silhouettes, split, unit
from fedad.methods._routing import usual_at
from fedad.methods.base import Turn, method_of
from fedad.round import fit, learn, merge
from fedad.seeding import stream
from fedad.types import Features
from tests.contracts.drawn_sites import MARK_16, config_of, site
from tests.contracts.test_methods import enrolled, same

SITES = [site(name, count=6, categories=("bolt",)) for name in ("graz", "lyon", "turin")]
VARIANTS = 2
H = 4


def plants(samples, *, lamp=True):
    """Features (B, 4, 4, 6) of images of two variants by turns, told by how alike neighbours are,
    each under the lamp of its plant: a gain and an offset of each feature."""
    grids = []
    for sample in samples:
        plant, _, number = sample.path.stem.partition("-")
        rng = np.random.default_rng([*sample.name.encode()])
        grid = rng.normal(size=(H, H, 6))
        if int(number) % VARIANTS:
            grid = np.repeat(grid[:, :1], H, 1) + 0.1 * grid  # stripes
        else:
            grid = np.repeat(grid[:1], H, 0) + 0.1 * grid
        if lamp:
            light = np.random.default_rng([*plant.encode()])
            grid = grid * light.uniform(0.5, 2, 6) + 5 * light.normal(size=6)
        grids.append(grid.astype(np.float32))
    names = tuple(f"{s.category}/{s.split}/good/{s.path.stem}" for s in samples)
    return Features(np.stack(grids), tuple(s.category for s in samples), names, MARK_16)


def variants(samples):
    return [int(sample.path.stem.partition("-")[2]) % VARIANTS for sample in samples]


def config(**knobs):
    return config_of("experts", **{"calibrate": "off", "local": 4, "most": 3, **knobs})


def purities(settings, **lamp):
    """How much of an expert is of one plant, how much of one variant, and how many there are."""

    def embed(samples):
        return plants(samples, **lamp)

    found = learn(settings, SITES, embed)
    method = method_of(settings)
    where = [
        (name, plant.name, variant)
        for plant in SITES
        for name, variant in zip(
            method.routed(found.model, embed(plant.train), own=found.own(plant.name)),
            variants(plant.train),
            strict=True,
        )
    ]
    return (
        found.model.largest.sum() / found.model.routed.sum(),
        purity([w[0] for w in where], [w[2] for w in where]),
        len(found.model.experts),
    )


def purity(labels, truth):
    counts = [np.unique([t for k, t in zip(labels, truth, strict=True) if k == label],
                        return_counts=True)[1].max() for label in {*labels}]  # fmt: skip
    return sum(counts) / len(labels)


def test_a_router_of_pooled_features_learns_the_lamp_and_a_cleaned_one_what_is_seen():
    """Purity by plant of 1 undoes federation: an expert must hold images of several plants."""
    by_plant, by_variant, experts = purities(config(router="pooled", centred=False))
    assert (by_plant, experts) == (1.0, 3)
    assert by_variant < 0.7
    by_plant, by_variant, experts = purities(config(router="cleaned"))
    assert (by_variant, experts) == (1.0, VARIANTS)
    assert by_plant == pytest.approx(1 / 3)


def test_a_gain_and_an_offset_of_each_feature_leave_a_cleaned_signature_as_it_is():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(5, 7, 3)).astype(np.float32)
    lit = (grid * [2, 0.5, 3] + [9, -4, 0]).astype(np.float32)
    np.testing.assert_allclose(signature(grid, "cleaned"), signature(lit, "cleaned"), atol=1e-4)
    assert np.abs(signature(grid, "pooled") - signature(lit, "pooled")).max() > 0.1


def test_one_kind_of_image_is_one_expert():
    same_kind = [replace(s, train=s.train[::2], test=()) for s in SITES]
    assert len(learn(config(most=4), same_kind, plants).model.experts) == 1


def test_two_images_whose_centred_signatures_cancel_out_are_admitted():
    """Their mean was of rounding's smallest values, which the door takes for an attack."""
    few = [replace(plant, train=plant.train[:2]) for plant in SITES]
    sent = fit(config(), few[0], plants).upload
    told = enrolled(few[0], train={"bolt": 2})
    same(admit_upload(config(), sent, told, Turn())[0], sent)
    assert not sent.centroids.any()


def test_the_silhouette_by_means_is_that_of_all_pairs():
    rng = np.random.default_rng(1)
    points = unit(rng.normal(size=(20, 3)))
    labels = split(points, np.ones(20), 3, rng=rng).labels
    means = np.array([points[labels == k].mean(0) for k in range(3)])
    off = 1 - points @ points.T
    slow = []
    for k, label in enumerate(labels):
        own = (labels == label) & (np.arange(20) != k)
        a = off[k, own].mean()
        b = min(off[k, labels == other].mean() for other in range(3) if other != label)
        slow.append((b - a) / max(a, b))
    found = silhouettes(points, means, np.bincount(labels))
    np.testing.assert_allclose(found, slow, atol=1e-9)


def test_votes_and_moments_add_to_those_of_one_site():
    settings = config(adapt="mean", centred=False)
    routes = [fit(settings, plant, plants).upload for plant in SITES]
    second = Turn(2, merge(settings, routes))
    apart = [fit(settings, plant, plants, second).upload for plant in SITES]
    together = replace(SITES[0], train=tuple(s for plant in SITES for s in plant.train))
    whole = fit(settings, together, plants, second).upload
    for name in ("routed", "silhouette", "patches", "sums", "squares"):
        np.testing.assert_allclose(
            sum(getattr(one, name) for one in apart), getattr(whole, name), rtol=1e-9, err_msg=name
        )


def test_given_subclasses_are_experts_and_an_oracle_sends_images_to_their_own():
    settings = config(router="oracle", pattern=r"(\d)$")
    found = learn(settings, SITES, plants)
    assert len(found.model.experts) == 6  # the digits
    names = method_of(settings).routed(found.model, plants(SITES[0].test), own=None)
    assert len({*names}) == 6
    with pytest.raises(DataError, match="finds nothing in image"):
        key_of("bolt/train/good/x", r"\d")
    assert key_of("cloth/train/good/cloth_3/1", "") == key_of("cloth/test/cut/cloth_3/9", "") > 0
    assert key_of("cloth/train/good/0001", "") == 0


@pytest.mark.parametrize("expert", ["bank", "discriminator"])
def test_one_expert_as_it_is_is_the_method_that_it_is_of(expert):
    knobs = {"rounds": 2, "epochs": 1, "hidden": 4, "batch": 64}
    quick = {f"discriminator.{name}": value for name, value in knobs.items()}
    other = "patchcore" if expert == "bank" else "discriminator"
    plain = read({"coreset.local-ratio": 0.5, "round.method": other, **quick})
    wrapped = {**config(router="off", expert=expert).flat(), **quick}
    features = plants(SITES[0].test)
    known = learn(plain, SITES, plants).model
    model = learn(read(wrapped), SITES, plants).model
    (mine, _), (theirs, _) = (
        method_of(c).score(m, features) for c, m in ((read(wrapped), model), (plain, known))
    )
    if expert == "bank":  # a head starts from its name
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
    assert np.isfinite(mine).all()
    assert mine.shape == theirs.shape


def test_a_site_without_images_of_an_expert_has_no_say_in_it():
    settings = config(expert="discriminator")
    settings = read({**settings.flat(), "discriminator.rounds": 1, "discriminator.hidden": 4})
    stripes = [replace(SITES[0], train=SITES[0].train[1::2]), *SITES[1:]]
    settings = read({**settings.flat(), "experts.centred": False})
    turn = Turn()
    for _ in method_of(settings).phases[:-1]:
        uploads = [fit(settings, plant, plants, turn).upload for plant in stripes]
        turn = Turn(turn.number + 1, merge(settings, uploads, turn))
    heads = [fit(settings, plant, plants, turn).upload for plant in stripes]
    assert [len(one.categories) for one in heads] == [1, 2, 2]
    model = merge(settings, heads, turn)
    (alone,) = {*model.experts} - {*heads[0].categories}
    at = model.experts.index(alone)
    mean = np.mean([one.out[one.categories.index(alone)] for one in heads[1:]], axis=0)
    np.testing.assert_allclose(model.out[at], mean, rtol=1e-5)


def test_adapted_patches_lie_where_the_experts_do():
    rng = np.random.default_rng(2)
    patches = (rng.normal(size=(400, 3)) * [1, 2, 3] + [5, 0, -5]).astype(np.float32)
    there = Place(np.array([1.0, 2, 3]), np.array([0.5, 0.5, 2]))
    for how in ("mean", "median"):
        found = measured(adapted(patches, there, how, 1.0), how)
        np.testing.assert_allclose(found.centre, there.centre, atol=1e-4)
        np.testing.assert_allclose(found.spread, there.spread, rtol=1e-4)
        np.testing.assert_array_equal(adapted(patches, there, how, 0.0), patches)
    halves = [patches[:150].astype(np.float64), patches[150:].astype(np.float64)]
    sums = [sum(np.power(half, n).sum(0) for half in halves) for n in (1, 2)]
    place = place_of(400, *sums)
    np.testing.assert_allclose(place.centre, patches.mean(0), rtol=1e-4)
    np.testing.assert_allclose(place.spread, patches.std(0), rtol=1e-4)


@pytest.mark.parametrize(
    ("how", "blend", "largest"),
    [("mean", 1.0, 0.1), ("median", 1.0, 0.3), ("mean", 0.5, 0.5), ("median", 0.5, 0.5)],
)
def test_a_defect_of_growing_area_scores_above_good_patches(how, blend, largest):
    """Up to the share of the image that each way stands; beyond, the defect is the image's own
    measure, and by mean and spread alone it is taken for what is usual."""
    rng = np.random.default_rng(3)
    there, odd = Place(np.zeros(32), np.ones(32)), 2 * rng.normal(size=32)

    def far(share):
        patches = rng.normal(size=(1024, 32))
        patches[: int(share * 1024)] += odd
        return np.linalg.norm(adapted(patches.astype(np.float32), there, how, blend), axis=1)

    usual = np.quantile(far(0.0), 0.99)
    for share in (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
        told = np.median(far(share)[: int(share * 1024)])
        assert told > usual or share > largest, share
    absorbed = np.median(far(0.5)[:512]) < usual
    assert absorbed == (blend == 1.0)


def test_a_line_of_scores_is_that_of_its_counts():
    scores = np.random.default_rng(4).normal(20, 3, 5000)
    low, width = line_of(counted(scores), "quantile")
    assert low == pytest.approx(np.median(scores), rel=0.05)
    assert low + width == pytest.approx(np.quantile(scores, 0.99), rel=0.05)
    low, width = line_of(counted(scores[:100]) + counted(scores[100:]), "z")
    assert (low, width) == pytest.approx((20, 3), rel=0.1)
    assert line_of(counted(np.array([])), "z") == (0.0, 1.0)
    assert counted(np.array([-1e9, -1.0, 0.0, 1.0, 1e9])).sum() == 5


def test_features_in_parts_give_the_same_bytes():
    settings = config(adapt="median", calibrate="quantile", held=3)
    whole, turn = learn(settings, SITES, plants).model, Turn()
    method = method_of(settings)
    for _ in method.rounds:
        uploads = []
        for plant in SITES:
            parts = InParts(plants, plant.train, (H, H, 6), 2**30)
            later = (str(turn.number),) if turn.number > 1 else ()
            rng = stream(settings.round.seed, plant.name, "fit", *later)
            made = method.fit(parts, turn, rng=rng)
            uploads.append(made.sealed(plant.name, "float32"))
        turn = Turn(turn.number + 1, merge(settings, uploads, turn))
    assert turn.model.experts == whole.experts
    same(turn.model, whole)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda v: {"silhouette": v.silhouette + 99}, "counts"),
        (lambda v: {"routed": v.routed + 1}, "counts"),
        (lambda v: {"patches": v.patches + 1}, "counts"),
        (lambda v: {"squares": v.squares * 0}, "counts"),
        (lambda v: {"sums": v.sums * 100, "squares": v.squares * 1e4}, "norm"),
        (lambda v: {"sums": v.sums[:, :-1], "squares": v.squares[:, :-1]}, "shape"),
    ],
)
def test_votes_that_no_images_give_are_refused(change, word):
    settings = config(adapt="mean")
    second = Turn(2, merge(settings, [fit(settings, plant, plants).upload for plant in SITES]))
    vote = fit(settings, SITES[0], plants, second).upload
    longest = float(np.linalg.norm(plants(SITES[0].train).patches, axis=1).max())
    told = enrolled(SITES[0], train={"bolt": 6}, longest=longest)
    same(admit_upload(settings, vote, told, second)[0], vote)
    with pytest.raises(UploadError) as refused:
        admit_upload(settings, vote.replace(**change(vote)), told, second)
    assert refused.value.reason == word


def test_what_it_cannot_do_is_refused_before_a_run():
    with pytest.raises(ConfigError, match=r"bank\.scope = 'mixed'"):
        method_of(read({**config().flat(), "bank.scope": "mixed"}))
    with pytest.raises(ConfigError, match=r"experts\.pattern = '\(': expected a regular"):
        method_of(config(pattern="("))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: {"centroids": r.centroids[:0], "product": r.product[:0], "routed": r.routed[:0],
                    "key": r.key[:0]}, "shape"),
        (lambda r: {"centroids": r.centroids[:0], "product": r.product[:0], "routed": r.routed[:0],
                    "key": r.key[:0], "usual": r.usual[:0], "categories": (),
                    "images": r.images[:0]}, "shape"),
        (lambda r: {"centroids": r.centroids * 0 + 1}, "norm"),
        (lambda r: {"usual": r.usual * 0 + 1}, "norm"),
        (lambda r: {"routed": r.routed * 0 + 2**40}, "counts"),
        (lambda r: {"key": r.key + 1}, "column"),
    ],
)  # fmt: skip
def test_routes_that_no_images_give_are_refused(change, word):
    settings = config()
    sent, told = fit(settings, SITES[0], plants).upload, enrolled(SITES[0], train={"bolt": 6})
    with pytest.raises(UploadError) as refused:
        admit_upload(settings, sent.replace(**change(sent)), told, Turn())
    assert refused.value.reason == word


def test_scores_that_no_images_have_are_refused():
    """Of two experts of a product, each may have as many as all its images, and not both."""
    settings = config(calibrate="quantile", held=2)
    method, turn = method_of(settings), Turn()
    for _ in method.phases[:-1]:
        uploads = [fit(settings, plant, plants, turn).upload for plant in SITES]
        turn = Turn(turn.number + 1, merge(settings, uploads, turn))
    sent, told = fit(settings, SITES[0], plants, turn).upload, enrolled(SITES[0], train={"bolt": 6})
    same(admit_upload(settings, sent, told, turn)[0], sent)
    every, part = np.zeros_like(sent.counts), sent.counts.copy()
    every[:, -1], part[0, -1] = 6 * H * H, part[0, -1] + 1
    for wrong in (every, part):
        with pytest.raises(UploadError, match="scores of 6 images") as refused:
            admit_upload(settings, sent.replace(counts=wrong), told, turn)
        assert refused.value.reason == "counts"


def test_a_product_that_is_called_like_an_expert_keeps_what_is_usual_of_it():
    twins = [site("graz", count=6, categories=("4-bolt", "bolt")), *SITES[1:]]
    found = learn(config(calibrate="quantile", held=3), twins, plants)
    assert {*found.model.experts} & {*found.model.categories}
    own = found.own("graz")
    usual = usual_at(own, found.model)
    for name, row in zip(own.categories, own.usual, strict=True):
        np.testing.assert_array_equal(usual[name], row)


def test_what_is_off_a_value_of_nearly_half_of_the_patches_is_not_blown_up():
    """Their median absolute deviation is next to nothing."""
    patches = np.random.default_rng(5).exponential(size=(1000, 1)).astype(np.float32)
    patches[:499] = 0
    assert measured(patches, "median").spread[0] == pytest.approx(0.1 * patches.std())
