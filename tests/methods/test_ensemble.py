"""Ensembles: exact sums, calibrations that mean what they say, and combiners of drawn defects."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.config import read
from fedad.defects.base import draw, kinds
from fedad.ensembles import held, parts
from fedad.ensembles.blocks import WIDEST, Blocks, BlockSums, added_up, groups_of, narrowed
from fedad.ensembles.calibrating import (
    BINS,
    Calibrator,
    ScoreCounts,
    ScoreSums,
    averaged,
    counts_of,
    sums_of,
)
from fedad.ensembles.combining import Coefficients, Trees, answered, grown, shares_of, stepped
from fedad.ensembles.composite import Composite, composite
from fedad.ensembles.drawing import drawn_into, features_of, only_drawn
from fedad.ensembles.held import split
from fedad.ensembles.taps import Taps, frozen
from fedad.ensembles.weighing import auroc, found_at, weights_of
from fedad.errors import ConfigError, DataError, MismatchError, UploadError
from fedad.members.base import Tap
from fedad.methods.base import Turn, method_of
from fedad.round import fit, learn, merge
from fedad.types import Enrolled, Sample, Site
from tests.contracts.drawn_sites import MARK_16, config_of, embed, site

SITES = [site("graz", count=5), site("lyon", count=5), site("turin", count=5)]
WHOLE = Site("all", tuple(s for one in SITES for s in one.train), ())
# Members whose federated models are the centralised ones: all rows in a bank, and exact sums.
EXACT = {"members": "patchcore,subspace", "least-images": 1, "holdout": 0.2}


def exact(**more):
    config = config_of("ensemble", **{**EXACT, **more})
    config = replace(config, coreset=replace(config.coreset, local_ratio=1.0))
    return replace(config, plugins={**config.plugins, "subspace": _subspace()})


def _subspace():
    from fedad.methods.subspace import Knobs

    return Knobs(dimensions=2, least_images=1)


@pytest.fixture
def by_name(monkeypatch):
    """Hold out the same images whatever the site: those whose names end with 0."""

    def chosen(features, share, seed):
        names = features.images
        held = [k for k, name in enumerate(names) if name.endswith("-0")]
        return [k for k in range(len(names)) if k not in held], held

    monkeypatch.setattr(held, "split", chosen)
    monkeypatch.setattr(parts, "split", chosen)


@pytest.mark.parametrize("block", ["global", "individual"])
def test_federated_components_and_calibration_are_the_centralised_ones(by_name, block):
    config = exact(combine="mean", calibration="p", head="nearest", block=block, extra="both")
    together, apart = (learn(config, sites, embed).model for sites in ([WHOLE], SITES))
    for part in ("blocks", "sums", "counts"):
        kind = next(s.part.rounds[-1].model for s in method_of(config).steps if s.part.name == part)
        one, other = together.part(part, kind), apart.part(part, kind)
        for name in vars(one):
            if isinstance(mine := getattr(one, name), np.ndarray) and name != "axes":
                np.testing.assert_allclose(getattr(other, name), mine, rtol=1e-6, atol=1e-9)
        if part == "blocks":
            for axes, same in zip(one.axes, other.axes, strict=True):
                np.testing.assert_allclose(np.abs(axes.T @ same), np.abs(axes.T @ axes), atol=1e-6)
    maps, scores = method_of(config).score(together, embed(SITES[0].test))
    again, too = method_of(config).score(apart, embed(SITES[0].test))
    np.testing.assert_allclose(again, maps, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(too, scores, rtol=1e-4, atol=1e-5)


def test_one_member_alone_ranks_as_itself():
    config = config_of("ensemble", members="subspace", combine="mean", **{"least-images": 1})
    config = replace(config, plugins={**config.plugins, "subspace": _subspace()})
    learned, method = learn(config, SITES, embed), method_of(config)
    (one,) = frozen(learned.model, method.seen.members, config)
    features = embed(SITES[0].test).take([0, 1, 2])  # of one product
    alone = one.member.tap(one.model, features).anomaly
    maps, scores = method.score(learned.model, features)
    assert np.array_equal(np.argsort(alone.ravel()), np.argsort(maps.ravel()))
    assert np.array_equal(np.argsort(alone.max((1, 2))), np.argsort(scores))


def test_whitened_components_of_good_patches_have_unit_spread_and_no_correlation():
    config = exact(combine="none", head="nearest", dimensions=3)
    learned, method = learn(config, [WHOLE], embed), method_of(config)
    numbers, _ = split(embed(WHOLE.train), 0.2, 0)
    good = embed(WHOLE.train).take(numbers)
    bolts = good.take([k for k, name in enumerate(good.categories) if name == "bolt"])
    points = method.seen.joined(learned.model)(bolts).reshape(-1, 3)
    np.testing.assert_allclose(np.cov(points.T, bias=True), np.eye(3), atol=1e-3)


def test_wide_members_are_brought_to_as_many_channels_and_distances_stay_about_the_same():
    wide = np.random.default_rng(0).normal(size=(1, 6, 6, 4 * WIDEST)).astype(np.float32)
    found = narrowed(wide, "ast", 0)
    assert found.shape == (1, 6, 6, WIDEST)
    np.testing.assert_array_equal(found, narrowed(wide, "ast", 0))
    before, after = (np.linalg.norm(one[0, 0, 0] - one[0, 5, 5]) for one in (wide, found))
    assert after == pytest.approx(before / 2, rel=0.2)  # the root of a fourth of the channels


def test_a_global_block_brings_members_to_one_grid_and_an_individual_one_leaves_them():
    taps = [Tap(np.ones((2, n, n, 3), np.float32), np.ones((2, n, n), np.float32)) for n in (4, 8)]
    (joined,) = groups_of(taps, "global", (4, 4), ["a", "b"], 0)
    assert joined.shape == (2, 4, 4, 6)
    assert [one.shape[1] for one in groups_of(taps, "individual", (4, 4), ["a", "b"], 0)] == [4, 8]


def calibrator(how, scores):
    count, sums, squares = (np.repeat(one[None], 2, 1) for one in sums_of([scores]))
    about = {
        "images": np.array([len(scores)]),
        "categories": ("bolt",),
        "sites": ("graz",),
        "fingerprint": MARK_16,
    }
    made = ScoreSums(count=count, sums=sums, squares=squares, **about)
    counts = counts_of([scores, scores], made.mean[0], made.spread[0])[None]
    rest = {"good": counts, "drawn": counts * 0, "defects": np.array([0])}
    return Calibrator(made, ScoreCounts(**rest, **about), how)


def test_calibrated_scores_mean_what_they_say():
    scores = np.random.default_rng(0).gamma(3, 2, 5000)
    z = calibrator("z", scores)(scores, "bolt", 1)
    assert (z.mean(), z.std()) == pytest.approx((0, 1), abs=1e-9)
    levels = np.quantile(scores, [0.9, 0.995])
    assert calibrator("quantile", scores)(levels, "bolt", 1) == pytest.approx([0, 0.1], abs=0.003)
    rare = calibrator("p", scores)(np.quantile(scores, [0.3, 0.7, 0.9, 0.995]), "bolt", 1)
    assert np.exp(-rare) == pytest.approx([0.7, 0.3, 0.1, 0.005], rel=0.05)
    rank = calibrator("z", scores).rank(np.quantile(scores, [0.2, 0.6]), "bolt", 1)
    assert rank == pytest.approx([0.2, 0.6], abs=0.01)
    line = np.linspace(-5, 90, 2000)
    for how in ("z", "quantile", "p", "e"):
        made = calibrator(how, scores)
        assert (np.diff(made(line, "bolt", 1)) >= 0).all()
        assert (np.diff(made.rank(line, "bolt", 1)[line > levels[1]]) > 0).all()


def test_scores_that_are_all_the_same_are_calibrated_all_the_same():
    for how in ("z", "quantile", "p", "e"):
        found = calibrator(how, np.full(9, 3.0))(np.array([3.0, 4.0]), "bolt", 0)
        assert np.isfinite(found).all()
        assert found[1] > found[0]


def test_the_mean_of_e_values_is_told_as_rarity_is():
    share = np.array([[0.5, 0.01, 1e-300], [0.2, 0.3, 0.5], [0.04, 0.01, 1.0]])
    for weights in (None, np.array([0.5, 0.3, 0.2])):
        found = averaged(-np.log(share), "e", weights)
        e = np.average(1 / (2 * np.sqrt(share)), 0, weights)
        assert found == pytest.approx(2 * np.log(2 * e))
    far = np.array([[5000.0], [0.0]])
    assert averaged(far, "e") == pytest.approx(5000 + 2 * np.log(0.5))
    assert averaged(far, "e", np.array([0.0, 1.0])) == pytest.approx(0)
    assert averaged(far[:1], "e") == pytest.approx(far[0])
    assert averaged(far, "p") == pytest.approx(2500)
    assert averaged(far, "z", np.array([0.9, 0.1])) == pytest.approx(4500)


def counted(good, bad):
    """Counts of images and patches of members, from their scores (n,) in standard units."""
    one, other = (
        counts_of(side * 2, np.zeros(2 * len(side)), np.ones(2 * len(side)))[None]
        for side in (good, bad)
    )
    return ScoreCounts(
        good=one,
        drawn=other,
        defects=np.array([len(bad[0])]),
        images=np.array([len(good[0])]),
        categories=("bolt",),
        sites=("graz",),
        fingerprint=MARK_16,
    )


def test_who_tells_drawn_defects_better_weighs_more_and_who_tells_nothing_is_left_out():
    rng = np.random.default_rng(0)
    good = [rng.normal(size=400) for _ in range(3)]
    bad = [rng.normal(far, 1, 400) for far in (3.0, 2.9, 0.0)]
    found = weights_of(counted(good, bad), 0.5)[0]
    for weights in (found[:3], found[3:]):
        assert weights.sum() == pytest.approx(1)
        assert weights[0] > weights[1] > weights[2] == 0
    assert weights_of(counted(good, bad), 1.0)[0].tolist() == [1, 0, 0, 1, 0, 0]
    alike = weights_of(counted(good, [one[:0] for one in bad]), 0.5)[0]
    assert alike == pytest.approx(1 / 3)


def test_measures_by_counts_are_those_of_the_scores():
    rng = np.random.default_rng(1)
    good, bad = rng.normal(size=300), rng.normal(1.5, 1, 200)
    a, b = (counts_of([one], np.zeros(1), np.ones(1))[0] for one in (good, bad))
    assert auroc(a, b) == pytest.approx((bad[:, None] > good).mean(), abs=0.01)
    levels = np.linspace(0, 0.05, 400)[1:]
    wanted = np.mean([(bad > np.quantile(good, 1 - level)).mean() for level in levels])
    assert found_at(a, b, 0.05) == pytest.approx(wanted, abs=0.02)
    assert len(a) == BINS


def test_logistic_regression_finds_who_tells_and_never_counts_an_alarm_as_good():
    rng = np.random.default_rng(2)
    good = rng.normal(size=(200, 3))
    bad = rng.normal([2.0, 0.0, -2.0], 1, (200, 3))
    values = stepped(np.append(np.full(3, 1 / 3), 0.0), good, bad, 2000)
    shares = shares_of(values)
    assert shares[0] > 0.8
    assert shares[2] == 0
    from sklearn.linear_model import LogisticRegression

    known = LogisticRegression(C=1e6).fit(np.r_[good, bad][:, :1], np.repeat([0, 1], 200))
    mine = stepped(np.zeros(2), good[:, :1], bad[:, :1], 2000)
    assert mine[0] == pytest.approx(known.coef_[0, 0], rel=0.15)


def test_trees_as_arrays_answer_as_the_forest_does():
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(3)
    good, bad = rng.normal(size=(60, 2)), rng.normal(1, 1, (90, 2))
    asks, limit, share = grown(good, bad, 5, np.random.default_rng(4))
    trees = Trees(
        asks=asks[None],
        limit=limit[None],
        share=share[None],
        behind=np.full((1, 5), 60),
        images=np.array([60]),
        categories=("bolt",),
        sites=("graz",),
        fingerprint=MARK_16,
    )
    seed = int(np.random.default_rng(4).integers(2**31))
    forest = RandomForestClassifier(5, max_depth=3, class_weight="balanced", random_state=seed)
    points, labels = np.r_[good, bad], np.repeat([0, 1], [60, 90])
    wanted = forest.fit(points, labels).predict_proba(points)[:, 1]
    found = answered(trees, 0, points) - 1e-3 * points.mean(1)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_combiner_learns_of_drawn_defects_alone():
    real = Sample("bolt", "test", "blot", Path("/data/bolt/test/blot/0003.png"))
    with pytest.raises(TypeError, match="a Sample: combiners learn of defects that"):
        features_of([real], embed(SITES[0].train), [0])
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    drawn = draw(image, image, "scar", rng=np.random.default_rng(0))
    only_drawn([drawn])
    with pytest.raises(TypeError, match="a ndarray"):
        only_drawn([drawn, image])


def test_the_same_images_are_held_out_in_any_order_and_parts_go_together():
    features = embed(SITES[0].train)
    learned, held = split(features, 0.4, 0)
    assert sorted([*learned, *held]) == list(range(10))
    assert len(held) == 4
    names = {features.images[k] for k in held}
    turned = features.take(range(9, -1, -1))
    assert {turned.images[k] for k in split(turned, 0.4, 0)[1]} == names
    others = [{features.images[k] for k in split(features, 0.4, seed)[1]} for seed in range(1, 6)]
    assert any(other != names for other in others)
    pairs = replace(features, shown=tuple(str(k // 2) for k in range(10)))
    _, held = split(pairs, 0.2, 0)
    for product in ("bolt", "hose"):
        mine = [k for k, name in enumerate(features.categories) if name == product]
        assert {*mine} - {*held}
    shown = [pairs.shown[k] for k in held]
    assert all(shown.count(one) == 2 or one == "2" for one in shown)
    assert split(features.take([0]), 0.5, 0) == ([0], [])


def test_what_is_tapped_once_is_kept_and_another_member_beside_it_taps_its_own_alone(tmp_path):
    config = config_of("ensemble", members="patchcore,discriminator", combine="mean")
    config = replace(config, embedder=replace(config.embedder, cache=str(tmp_path)))
    method = method_of(config)
    model = learn(config, SITES[:1], embed).model
    members = frozen(model, method.seen.members, config)
    features = embed(SITES[0].test).take(range(3))
    first, again = Taps(members[:1], config.embedder), Taps(members, config.embedder)
    before = first.all(features)
    assert first.read == {"kept": 0, "made": 3}
    after = again.all(features)
    assert again.read == {"kept": 3, "made": 3}
    for name in ("channels", "anomaly"):
        np.testing.assert_array_equal(getattr(before[0], name), getattr(after[0], name))
        np.testing.assert_array_equal(
            getattr(after[1], name), getattr(again.all(features)[1], name)
        )
    np.testing.assert_array_equal(again.anomalies(features)[1], after[1].anomaly)
    other = replace(config, score=replace(config.score, neighbours=3))
    taps = Taps(frozen(model, method_of(other).seen.members, other), other.embedder)
    taps.anomalies(features)  # by other knobs of scoring another tap
    assert taps.read == {"kept": 0, "made": 6}


def test_members_of_many_rounds_are_learned_first_so_that_a_bank_comes_down_seldom():
    """Whatever the order of their names, which is that of outputs."""
    config = config_of("ensemble", members="patchcore,discriminator", combine="mean")
    config = read({**config.flat(), "discriminator.rounds": 4, "discriminator.hidden": 8})
    method, turn, down = method_of(config), Turn(), []
    for number in range(len(method.rounds)):
        uploads = [fit(config, plant, embed, turn).upload for plant in SITES]
        turn = Turn(number + 2, merge(config, uploads, turn))
        down.append(turn.model.sizes())
    bank, head = (down[-1][f"member {name}"] for name in ("patchcore", "discriminator"))
    assert [one.get("member patchcore", 0) for one in down] == [0] * 4 + [bank, bank]
    assert sum(sum(one.values()) for one in down) == 2 * bank + 6 * head + down[-1]["sums"]
    assert method.seen.names == ("patchcore", "discriminator")


def test_parts_travel_together_and_bytes_that_are_none_are_refused():
    model = learn(config_of("ensemble"), SITES, embed).model
    tensors, header = model.pack()
    assert Composite.unpack(tensors, header).sizes() == model.sizes()
    good = tensors["parts"]
    for wrong in (good[:-1], good[:40], good[:4], good[:0], np.zeros(64, np.uint8), good[::-1]):
        with pytest.raises(UploadError):
            Composite.unpack({"parts": np.ascontiguousarray(wrong)}, header)
    with pytest.raises(UploadError, match="scoresums/'count' is missing"):
        composite(model, "sums", model.part("counts", ScoreCounts)).part("sums", ScoreSums)
    with pytest.raises(UploadError, match="without its part 'head'"):
        model.part("head", ScoreSums)


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"combine": "none"}, r"ensemble\.combine = 'none'.*nothing judges"),
        ({"members": ""}, r"ensemble\.members = ''"),
        ({"members": "patchcore,patchcore"}, r"ensemble\.members = 'patchcore,patchcore'"),
        ({"members": "patchcor"}, r"no 'patchcor' in fedad/members \(did you mean 'patchcore'\?\)"),
    ],
)
def test_an_ensemble_of_nothing_is_refused_naming_the_knob(knobs, told):
    with pytest.raises(ConfigError, match=told):
        method_of(config_of("ensemble", **knobs))


def test_too_few_held_out_images_are_told_by_their_knob():
    with pytest.raises(ConfigError, match=r"ensemble\.least-images: no site"):
        learn(config_of("ensemble", **{"least-images": 5}), SITES, embed)


def test_the_record_says_what_each_member_weighs():
    config = config_of(
        "ensemble", members="patchcore,discriminator", head="nearest", combine="mean"
    )
    method, model = method_of(config), learn(config, SITES, embed).model
    told = method.describe(model)
    assert set(told["bytes_by_part"]) == {
        *("member patchcore", "member discriminator", "blocks", "head", "sums")
    }
    assert told["member patchcore"]["rows"] > 0


def test_the_tables_of_its_members_are_those_of_the_run_and_a_site_allows_each_by_name():
    from fedad.permits.rules import Policy
    from fedad.permits.settings import _named

    config = config_of("ensemble", members="patchcore,subspace")
    assert config.members() == ("patchcore", "subspace")
    assert {"ensemble", "subspace"} <= {*config.chosen()}
    assert config_of("patchcore").members() == ()
    (told,) = [why for _, why in _named(Policy(methods=("ensemble", "patchcore")), config)]
    assert told.startswith("a member = subspace: allowed are ensemble, patchcore (docs/policy.md")


@pytest.mark.parametrize("combine", ["mean", "none"])
def test_a_site_with_one_image_of_a_product_takes_part_and_sends_no_sums_of_it(combine):
    one = site("milan", count=1, categories=("nut",))
    milan = Site("milan", (*one.train, *site("milan", count=5).train), one.test)
    plants = [*SITES[:2], milan]
    config = exact(**{"combine": combine, "head": "nearest", "least-images": 2, "holdout": 0.4})
    method, model = method_of(config), learn(config, plants, embed).model
    assert model.part("member patchcore", Bank).categories == ("bolt", "hose", "nut")
    assert model.part("blocks", Blocks).categories == ("bolt", "hose")
    assert [method.judges(model, name) for name in ("bolt", "nut")] == [True, False]
    with pytest.raises(DataError, match="category 'nut'"):
        method.score(model, embed(milan.test))
    with pytest.raises(DataError, match=r"ensemble\.least-images = 2: no site .* of nut"):
        learn(config, [*SITES[:2], one], embed)


def test_a_product_whose_only_site_missed_a_round_is_not_judged():
    config = config_of("ensemble", members="patchcore", combine="rank", **{"least-images": 1})
    plants = [SITES[0], site("oslo", count=5, categories=("nut",))]
    method, model = method_of(config), learn(config, plants, embed).model
    assert method.judges(model, "nut")
    counts = model.part("counts", ScoreCounts)
    rows = {name: getattr(counts, name)[[0, 1]] for name in ("good", "drawn", "defects", "images")}
    some = model.with_part("counts", counts.replace(**rows, categories=("bolt", "hose")))
    assert not method.judges(some, "nut")
    with pytest.raises(DataError, match="took part in all rounds"):
        method.score(some, embed(plants[1].test))


def test_a_model_of_other_members_is_refused_by_their_knob():
    model = learn(config_of("ensemble"), SITES, embed).model
    other = method_of(config_of("ensemble", head="nearest", combine="rank"))
    with pytest.raises(MismatchError, match=r"ensemble\.members = 'patchcore'.*2 outputs"):
        other.seen.calibrator(model)


def test_sums_of_other_patches_of_an_image_do_not_mix():
    uploads = [
        BlockSums(
            widths=np.array([1]),
            count=np.array([[2 * patches]]),
            sums=np.ones((1, 1)),
            products=np.ones((1, 1)),
            images=np.array([2]),
            categories=("bolt",),
            sites=(name,),
            fingerprint=MARK_16,
        )
        for name, patches in (("graz", 16), ("lyon", 10**9))
    ]
    with pytest.raises(MismatchError, match=r"graz and lyon do not mix.*\[16\] and \[1000000000\]"):
        added_up(uploads)


@pytest.mark.parametrize("wrong", [-0.5, 9000.0])
def test_coefficients_that_no_steps_end_at_are_refused(wrong):
    far = np.random.default_rng(0).normal([0, 0], 0.01, (40, 2))
    honest = stepped(np.array([12.0, 12.0, 0.0]), far, far + 9, 50)
    config = config_of("ensemble", members="patchcore,subspace", combine="logistic")
    (part,) = [one.part for one in method_of(config).steps if one.part.name == "combiner"][:1]
    about = {"images": np.array([1]), "categories": ("bolt",), "sites": ("graz",)}
    enrolled = Enrolled("graz", {"bolt": 5}, {}, MARK_16, 6, 1.0)
    for values in (honest, np.array([wrong, 1.0, 0.0])):
        sent = Coefficients(values=values[None].astype(np.float32), **about, fingerprint=MARK_16)
        if values is honest:
            assert part.admit(sent, enrolled, Turn(1))[1] == []
        else:
            with pytest.raises(UploadError, match="a coefficient is"):
                part.admit(sent, enrolled, Turn(1))


def test_trees_lead_nowhere_else():
    def trees(asks):
        zero = np.zeros(asks.shape)
        about = {"images": np.array([1]), "categories": ("bolt",), "sites": ("graz",)}
        return Trees(
            asks=asks,
            limit=zero,
            share=zero,
            behind=np.ones(asks.shape[:2], np.int64),
            fingerprint=MARK_16,
            **about,
        )

    deep = trees(np.zeros((1, 1, 15), np.int32))  # asks at its last level too
    assert answered(deep, 0, np.ones((4, 1))) == pytest.approx(1e-3)
    with pytest.raises(UploadError, match="more than 1 outputs"):
        answered(trees(np.full((1, 1, 15), 1, np.int32)), 0, np.ones((4, 1)))
    wrong = trees(np.zeros((1, 1, 7), np.int32))
    with pytest.raises(UploadError, match="7 nodes, expected 15"):
        Trees.unpack(*wrong.pack())


def test_the_same_defects_are_drawn_in_whatever_order_images_come():
    class Shades:
        def __init__(self, shades):
            self.shades = shades

        def __getitem__(self, image):
            rng = np.random.default_rng(self.shades[image])
            return rng.integers(0, 255, (40, 40, 3), np.uint8)

    good = replace(embed(SITES[0].train).take(range(5)), pixels=Shades(range(5)))
    turned = replace(good.take(range(4, -1, -1)), pixels=Shades(range(4, -1, -1)))
    one, other = drawn_into(good, 1, 5, 0), drawn_into(turned, 3, 5, 0)
    assert sorted(drawn.kind for drawn in one) == sorted(kinds())
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
