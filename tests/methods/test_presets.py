"""The presets of `patchcore`: what knobs refuse, what banks carry, how `auto` chooses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedad.banks.admission import clamped
from fedad.banks.bank import SUMS, Bank
from fedad.banks.coreset_in_parts import cover_in_parts
from fedad.banks.measured import in_place, measured, measures_of
from fedad.compare.value import leave_one_out
from fedad.config import PrivacyKnobs, read
from fedad.descriptors.position import places
from fedad.descriptors.settings import ALL, OFF, described, table_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.in_parts import InParts
from fedad.errors import ConfigError, MismatchError, UploadError
from fedad.judging.admission import admit_upload
from fedad.leakage.gaps import look, target_of
from fedad.messages.file import load, save
from fedad.methods._evidence import LEVELS, Evidence, added
from fedad.methods._presets import CANDIDATES, FIXED, MARGIN, PLACED, PRODUCTS, chosen
from fedad.methods.base import FIRST, Turn, forgotten, method_of
from fedad.permits.settings import beyond
from fedad.plugins import names
from fedad.policy import Policy
from fedad.round import fit, learn, merge
from fedad.running.attacked import attacked_federation
from fedad.running.model_file import embedder_of, open_model
from fedad.types import Site
from fedad.yardsticks import exact
from tests.contracts.drawn_sites import MARK_16, D, embed, far, site
from tests.contracts.test_methods import enrolled, same

SITES = [site("graz"), site("lyon"), site("turin", categories=("bolt",))]
SHADES = 30 * np.random.default_rng(3).normal(size=(16, D)).astype(np.float32)
EVERYTHING = {
    "patchcore.position": 0.5,
    "patchcore.standardise": 0.5,
    "patchcore.density": 0.5,
    "patchcore.smoothed-maximum": 0.1,
}
ALONE = [{key: value} for key, value in EVERYTHING.items()]
CUSTOM = {"patchcore.preset": "custom", "patchcore.least-images": 2, "coreset.local-ratio": 0.5}
POSITION = {**CUSTOM, "patchcore.preset": "position"}


def shaded(samples, order=lambda sample: np.arange(16)):
    """Features in which each cell of a part has a shade of its own, wherever it lies."""
    features = embed(samples)
    moved = np.stack([SHADES[order(sample)].reshape(4, 4, D) for sample in samples])
    return replace(features, grid=features.grid + moved)


def in_any_pose(samples):
    """The same of parts whose cells lie anywhere."""
    return shaded(samples, lambda one: np.random.default_rng([*one.name.encode()]).permutation(16))


def custom(**more):
    return read({**CUSTOM, **{key.replace("__", "."): value for key, value in more.items()}})


@pytest.mark.parametrize("preset", ["classic", "position", "auto"])
@pytest.mark.parametrize("knob", EVERYTHING)
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_knob_that_is_written_is_never_ignored(preset, knob, value):
    config = read({"patchcore.preset": preset, knob: value})
    with pytest.raises(ConfigError, match=rf"{knob} = {value:g}: expected -1.*preset = 'custom'"):
        method_of(config)


def test_a_knob_between_off_and_by_the_preset_is_refused():
    with pytest.raises(ConfigError, match=r"patchcore\.density = -0\.5: expected 0 or more"):
        method_of(read({"patchcore.preset": "custom", "patchcore.density": -0.5}))


def test_rounds_and_pixels_are_asked_for_only_where_they_are_needed():
    def asked(**knobs):
        method = method_of(read({f"patchcore.{key}": value for key, value in knobs.items()}))
        return [one.upload for one in method.rounds], method.needs_pixels

    assert asked() == asked(preset="classic") == ([Bank], False)
    assert asked(preset="custom", standardise=1.0, density=1.0) == ([Bank], False)
    assert asked(preset="custom", position=0.1) == ([Bank], False)
    assert asked(preset="position") == ([Bank], False)
    assert asked(preset="auto") == ([Evidence, Bank], True)


def test_custom_without_a_knob_is_classic():
    one, other = (
        learn(read({"coreset.local-ratio": 0.5, "patchcore.preset": preset}), SITES, embed)
        for preset in ("classic", "custom")
    )
    same(one.model, other.model)
    assert one.model.fingerprint == MARK_16


@pytest.mark.parametrize(
    ("preset", "key", "value"),
    [
        ("position", "privacy.release", "noisy_rows"),
        ("auto", "privacy.release", "noisy_rows"),
        ("auto", "merge.weighting", "coverage"),
    ],
)
def test_what_presets_do_not_go_with_is_said_in_a_line(preset, key, value):
    knobs = {key: value}
    with pytest.raises(ConfigError, match=rf"{key} = '{value}'.*patchcore\.preset = '{preset}'"):
        method_of(read({"patchcore.preset": preset, **knobs}))


def test_the_default_is_positions_and_classic_where_a_release_is_made_and_says_so():
    assert method_of(read({})).preset.wanted == FIXED
    assert method_of(read({})).notes == ()
    private = method_of(read({"privacy.release": "noisy_rows"}))
    assert private.preset.wanted == OFF
    (note,) = private.notes
    assert note.startswith("patchcore.preset = 'default' is 'classic' with privacy.release = ")


@pytest.mark.parametrize("method", ["patchcore", "coded_patchcore"])
def test_a_yardstick_of_a_private_run_describes_patches_as_the_run_does(method):
    """Without its release alone it would be by `default`, which is then `position`."""
    private = read({"round.method": method, "privacy.release": "noisy_rows"})
    beside = exact(private)
    assert beside.privacy == PrivacyKnobs()
    assert beside.knobs("patchcore").preset == "classic"
    assert exact(read({"round.method": method})) == read({"round.method": method})
    other = read({"round.method": "gaussian", "privacy.release": "noisy_rows"})
    assert exact(other) == replace(other, privacy=PrivacyKnobs())


def test_a_smoothed_maximum_and_weighing_one_patch_exclude_each_other():
    both = {"score.scoring": "nearest", "score.neighbours": 3, "patchcore.smoothed-maximum": 0.1}
    with pytest.raises(ConfigError, match=r"score\.neighbours = 3: expected 1"):
        method_of(read({**CUSTOM, **both}))


def scales(sites):
    """The definition: the root of the mean squared distance of all sites' patches to the mean of
    their own site's, product by product."""
    found = {}
    for name in ("bolt", "hose"):
        squares, count = 0.0, 0
        for plant in sites:
            if mine := [s for s in plant.train if s.category == name]:
                patches = shaded(mine).patches.astype(float)
                squares += np.square(patches - patches.mean(0)).sum()
                count += len(patches)
        found[name] = np.sqrt(squares / count)
    return found


def test_one_round_gives_the_scale_of_all_sites_features_by_product():
    learned = learn(read(POSITION), SITES, shaded)
    table = measures_of(learned.model)
    for name, scale in scales(SITES).items():
        assert table[name].scale == pytest.approx(scale, rel=1e-5)
        assert table[name].position == FIXED.position
    assert table_of(learned.model.fingerprint) == {ALL: FIXED}
    for bank in (learned.model, *(one.upload for one in learned.local.values())):
        assert bank.rows.shape[1] == D + 2
        assert set(np.abs(bank.rows[:, D:]).round(6).ravel()) == {np.float32(1 / 3).round(6), 1}
    reach = table["bolt"].position * table["bolt"].scale
    bolts = measured(learned.model).of_category("bolt").rows[:, D:]
    np.testing.assert_allclose(np.abs(bolts).max(), reach, rtol=1e-6)


def test_distances_are_those_of_patches_with_their_places_in_features_units():
    learned, scale = learn(read(POSITION), SITES, shaded), scales(SITES)
    method = method_of(read({**POSITION, "score.scoring": "nearest"}))
    features = shaded(SITES[0].test)
    maps, _ = method.score(learned.model, features)
    for k, name in enumerate(features.categories):
        rows = learned.model.of_category(name).rows.astype(float)
        points = np.column_stack([features.grid[k].reshape(16, D), places(4, 4)])
        weights = np.append(np.ones(D), [0.5 * scale[name]] * 2)
        gaps = np.linalg.norm((points[:, None] - rows) * weights, axis=-1).min(1)
        np.testing.assert_allclose(maps[k].ravel(), gaps, rtol=1e-4)


def test_a_bank_without_a_site_is_the_bank_that_never_had_it():
    config = read(POSITION)
    uploads = [fit(config, plant, shaded).upload for plant in SITES]
    method, features = method_of(config), shaded(SITES[1].test)
    less = method.without_site(merge(config, uploads), "graz")
    never = merge(config, uploads[1:])
    assert measures_of(less)["hose"] == measures_of(never)["hose"]
    assert measures_of(less) != measures_of(merge(config, uploads))
    for one, other in zip(method.score(less, features), method.score(never, features), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_site_is_the_centralised_method_and_the_order_of_sites_is_none_of_its_business():
    config, method = read(POSITION), method_of(read(POSITION))
    whole = Site("all", tuple(s for plant in SITES for s in plant.train), ())
    upload = fit(config, whole, shaded).upload
    one = merge(config, [upload])
    same(one, upload.in_selection_order().replace(row=one.row))
    uploads = [fit(config, plant, shaded).upload for plant in SITES]
    same(merge(config, uploads), merge(config, uploads[::-1]))
    assert method.describe(one)["described"]["bolt"]["position"] == 0.5


@pytest.mark.parametrize("moved", [False, True])
def test_positions_of_parts_in_any_pose_count_nothing_in_the_same_round(moved):
    plants = [site(name, count=6, categories=("bolt",)) for name in ("graz", "lyon")]
    config, seen = read(POSITION), in_any_pose if moved else shaded
    learned, method = learn(config, plants, seen), method_of(config)
    model = learned.model
    assert (model.looked == 6 * 16).all()
    share = in_place(model)["bolt"]
    assert (share < PLACED) == moved
    assert bool(measures_of(model)["bolt"].position) != moved
    told = method.describe(model)["described"]["bolt"]
    assert told["in their own place"] == round(share, 4)
    if moved:  # as the network gives them, to the last bit
        classic = method_of(read({**POSITION, "patchcore.preset": "classic"}))
        plain = learn(read({**POSITION, "patchcore.preset": "classic"}), plants, seen)
        for one, other in zip(
            method.score(model, seen(plants[0].test), own=learned.own("graz")),
            classic.score(plain.model, seen(plants[0].test), own=plain.own("graz")),
            strict=True,
        ):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_a_site_of_one_image_looks_at_nothing_and_positions_stay():
    few = [site("graz", count=1), site("lyon", count=1)]
    model = learn(read(POSITION), few, embed).model
    assert not model.looked.any()
    assert measures_of(model)["bolt"].position == FIXED.position
    assert in_place(model) == {}


def test_images_of_one_part_do_not_find_each_others_places():
    features = replace(embed(SITES[0].train), shown=("a part",) * 8)
    sums = method_of(read(POSITION)).fit(features, FIRST, rng=np.random.default_rng(0))
    assert not sums.looked.any()


def test_what_is_normal_here_is_not_normal_there():
    """The same look at another place of the image."""
    learned = learn(read(POSITION), SITES, shaded)
    method, features = method_of(read(POSITION)), shaded(SITES[0].train)
    turned = replace(features, grid=np.ascontiguousarray(features.grid[:, ::-1, ::-1]))
    here, there = (
        method.score(learned.model, seen, own=learned.own("graz"))[0] for seen in (features, turned)
    )
    assert there.mean() > here.mean() + 0.5


def test_a_bank_of_another_weight_does_not_mix_and_is_not_let_in():
    configs = [custom(patchcore__standardise=blend) for blend in (0.5, 0.25)]
    uploads = [fit(c, plant, embed).upload for c, plant in zip(configs, SITES, strict=False)]
    with pytest.raises(MismatchError, match=r"do not mix \(transform"):
        merge(configs[0], uploads)
    admit_upload(configs[0], uploads[0], enrolled(SITES[0]), FIRST)
    with pytest.raises(UploadError, match="not embedded as it said") as refused:
        admit_upload(configs[0], uploads[1], enrolled(SITES[1]), FIRST)
    assert refused.value.reason == "fingerprint"


def test_an_upload_of_another_weight_of_positions_is_not_let_in():
    other = custom(patchcore__position=0.25)
    upload = fit(other, SITES[0], embed).upload
    assert admit_upload(other, upload, enrolled(SITES[0]), FIRST)
    with pytest.raises(UploadError) as refused:
        admit_upload(read(POSITION), upload, enrolled(SITES[0]), FIRST)
    assert refused.value.reason == "fingerprint"


@pytest.mark.parametrize("knobs", [*ALONE, EVERYTHING])
@pytest.mark.parametrize("scope", ["category", "mixed"])
@pytest.mark.parametrize("scoring", names("scoring"))
def test_every_knob_works_with_every_scoring_and_scope(knobs, scope, scoring):
    config = read({**CUSTOM, **knobs, "bank.scope": scope, "score.scoring": scoring})
    learned, method = learn(config, SITES, embed), method_of(config)
    own = learned.own("graz")
    good, good_scores = method.score(learned.model, embed(SITES[0].test), own=own)
    bad, bad_scores = method.score(learned.model, far(SITES[0].test), own=own)
    assert np.isfinite(good).all()
    assert np.median(bad[:, 1:3, 1:3]) > np.quantile(good, 0.95)
    assert np.median(bad_scores) > np.median(good_scores)
    traced = method.trace(learned.model, embed(SITES[0].test), own=own, site="graz")
    np.testing.assert_array_equal(traced.maps, good)
    np.testing.assert_array_equal(traced.scores, good_scores)
    alone, _ = method.score(learned.model, embed(SITES[0].test).take([3]), own=own)
    np.testing.assert_array_equal(alone[0], good[3])
    assert all(low < high for low, high in method.scale(learned.model).values())


@pytest.mark.parametrize("knobs", [*ALONE, EVERYTHING])
def test_a_training_image_is_judged_without_its_rows_the_quick_way_and_the_plain_way(knobs):
    config = read({**CUSTOM, **knobs})
    learned, method = learn(config, SITES, shaded), method_of(config)
    model, own, features = learned.model, learned.own("graz"), shaded(SITES[0].train)
    quick = method.leaving_out(model, own, "graz")
    plain = forgotten(method, model, own, "graz")
    whole = method.score(model, features, own=own)[1]
    for k in range(len(features.grid)):
        found = quick(features.take([k]), [k])
        assert found == pytest.approx(plain(features.take([k]), [k]), rel=1e-6)
        if "patchcore.density" not in knobs:  # fewer rows lie farther apart
            assert found >= whole[k] - 1e-5


def test_a_banks_file_says_all_that_scoring_takes(tmp_path):
    """Whoever opens it needs no knob of the run that made it."""
    config = read({**CUSTOM, **EVERYTHING})
    model = learn(config, SITES, shaded).model
    save(tmp_path / "bank", model)
    opened, plain = load(tmp_path / "bank", Bank), method_of(read({}))
    for found, expected in zip(
        plain.score(opened, shaded(SITES[1].test)),
        method_of(config).score(model, shaded(SITES[1].test)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    told = plain.describe(opened)["described"]
    assert told["bolt"]["density"] == 0.5


def test_patches_that_are_not_valid_are_learned_by_nobody_and_score_0():
    valid = np.random.default_rng(0).random((8, 4, 4)) < 0.7

    def masked(samples):
        return replace(embed(samples), valid=valid[: len(samples)])

    config = read({**CUSTOM, **EVERYTHING})
    learned = learn(config, SITES, masked)
    own = learned.own("graz")
    assert valid.ravel()[own.source].all()
    maps, _ = method_of(config).score(learned.model, masked(SITES[0].test), own=own)
    assert not maps[~valid].any()
    assert (maps[valid] > 0).all()


def evidence(**changed):
    """Of one product; every candidate tells the same unless `changed` says otherwise."""
    k, levels = len(CANDIDATES), len(LEVELS)
    table = {
        "images": [8],
        "held": [8],
        "looked": [128],
        "placed": [80],
        "defects": [8],
        "defective": [20],
        "pairs": [64],
        "ordered": np.full((1, k), 60),
        "found": np.full((1, k, levels), 10),
        **changed,
    }
    arrays = {name: np.asarray(value, np.int64) for name, value in table.items()}
    return Evidence(**arrays, categories=("bolt",), sites=("graz",), fingerprint=MARK_16)


def better(name, by):
    """The evidence where one candidate finds a share `by` more of each defect."""
    found = np.full((1, len(CANDIDATES), len(LEVELS)), 1000)
    found[0, list(CANDIDATES).index(name)] += round(2000 * by)
    return {"found": found, "defective": [2000]}


def test_auto_takes_what_tells_defects_best_and_the_simplest_of_equals():
    assert chosen(evidence()).told["chosen"] == "classic"
    for name in CANDIDATES:
        found = chosen(evidence(**better(name, 4 * MARGIN)))
        assert found.settings == CANDIDATES[name]
        told = found.told["separation"]
        assert told[name] - told["classic" if name != "classic" else "smoothed"] == pytest.approx(
            2 * MARGIN, abs=1e-3
        )
        assert chosen(evidence(**better(name, MARGIN))).told["chosen"] == "classic"


def test_positions_are_not_taken_where_patches_do_not_find_their_place():
    lost = better("position", 0.2)
    assert chosen(evidence(**lost)).settings.position
    lost["placed"] = [int(128 * PLACED) - 1]
    assert not chosen(evidence(**lost)).settings.position


def test_without_evidence_a_product_stays_classic():
    nothing = {name: [0] for name in ("held", "looked", "placed", "defects", "defective", "pairs")}
    k, levels = len(CANDIDATES), len(LEVELS)
    ordered, patches = np.zeros((1, k)), np.zeros((1, k, levels))
    found = chosen(evidence(**nothing, ordered=ordered, found=patches))
    assert found.settings == OFF
    assert "too few" in found.told["why"]


def test_what_sites_counted_adds_product_by_product():
    one, other = evidence(), evidence(held=[7])
    other = other.replace(sites=("lyon",), categories=("hose",))
    third = evidence(placed=[70]).replace(sites=("turin",))
    found = added([one, other, third])
    assert found.categories == ("bolt", "hose")
    assert found.held.tolist() == [16, 7]
    assert found.placed.tolist() == [150, 80]
    assert found.pooled().held.tolist() == [23]
    same(found.of("hose"), other.replace(sites=found.sites))


LIES = {
    "images held out": {"held": [11]},
    "too few held out": {"held": [1], "defects": [1], "pairs": [1], "looked": [16], "placed": [16]},
    "patches": {"looked": [129]},
    "in place": {"placed": [129]},
    "defects": {"defects": [9], "pairs": [72]},
    "pairs": {"pairs": [65]},
    "ordered": {"ordered": np.full((1, len(CANDIDATES)), 129)},
    "found": {"found": np.full((1, len(CANDIDATES), len(LEVELS)), 21)},
    "candidates": {"ordered": np.full((1, 2), 1)},
}


def test_honest_counts_are_let_in():
    config = read({"patchcore.preset": "auto"})
    told = enrolled(SITES[0], train={"bolt": 10})
    assert admit_upload(config, evidence(), told, FIRST)[1] == []


@pytest.mark.parametrize("lie", LIES)
def test_counts_that_no_site_can_have_are_refused(lie):
    config = read({"patchcore.preset": "auto"})
    told = enrolled(SITES[0], train={"bolt": 10})
    with pytest.raises(UploadError) as refused:
        admit_upload(config, evidence(**LIES[lie]), told, FIRST)
    assert refused.value.reason in ("counts", "shape")


def test_a_product_of_few_images_is_in_no_count():
    knobs = {"patchcore.least-images": 5}
    some, few = (pictured(site("graz", count=count).train) for count in (5, 4))
    assert counted(some, **knobs).categories == ("bolt", "hose")
    assert counted(few, **knobs).categories == ()


@pytest.mark.parametrize("knobs", [{}, {"patchcore.standardise": 0.5}, {"patchcore.density": 0.5}])
def test_who_holds_described_rows_finds_whose_they_are(knobs):
    """Members' patches are in the bank bit for bit, and those of others are not."""
    config = read({**CUSTOM, "patchcore.position": 0.5, **knobs})
    target = target_of(learn(config, SITES, embed).model, "bolt")
    bolts = [s for s in SITES[0].train if s.category == "bolt"]
    inside, outside = (
        look(target, [*target.described(seen).grid.reshape(len(seen.grid), 16, -1)])
        for seen in (embed(bolts), embed([s for s in SITES[0].test if s.category == "bolt"]))
    )
    assert len(inside.row) > 0
    assert len(outside.row) == 0
    assert (inside.statistics[:, 2] < outside.statistics[:, 2]).all()


def test_places_have_a_share_in_what_a_coded_row_is_rounded_by():
    """Also where no feature is as large as they are, and where positions count nothing."""

    def faint(samples):
        features = embed(samples)
        return replace(features, grid=features.grid / 50)

    config = read({**POSITION, "wire.dtype": "int8"})
    model = learn(config, SITES, faint).model
    bolts = faint([s for s in SITES[0].train if s.category == "bolt"])
    lost = model.replace(looked=model.looked + 9, placed=model.placed * 0)
    for bank in (model, lost):
        target = target_of(bank, "bolt")
        patches = target.described(bolts).grid.reshape(len(bolts.grid), 16, -1)
        assert set(look(target, [*patches]).image) == set(range(len(patches)))


def test_a_site_is_believed_the_sums_of_as_many_patches_as_its_rows_pay_for():
    config = read(POSITION)
    upload = fit(config, SITES[0], shaded).upload
    assert (upload.looked == 4 * 16).all()
    assert clamped(config, upload, per_image=16) == (upload, [])
    few = upload.take(np.flatnonzero(upload.row % 4 == 0))
    found, told = clamped(config, few, per_image=16)
    assert told
    assert (found.images < upload.images).all()
    assert (found.placed <= found.looked).all()
    assert (found.looked <= 16 * found.images).all()
    np.testing.assert_allclose(found.squares / found.patches, upload.squares / upload.patches)


def test_attacks_are_on_banks_of_one_round():
    with pytest.raises(ConfigError, match="the attacks are on banks"):
        attacked_federation(read({"patchcore.preset": "auto"}))
    written = method_of(read(POSITION)).preset.written(embed(SITES[0].test))
    np.testing.assert_array_equal(written.grid[0, ..., D:].reshape(16, 2), places(4, 4))


def test_a_site_holds_out_as_many_as_the_least_it_counts_of():
    """Of 13 images 12, and all where a site counts nothing of fewer; no site says more."""
    knobs = {"patchcore.preset": "auto", "patchcore.least-images": 13}
    told = enrolled(SITES[0], train={"bolt": 13})
    many = {"images": [13]}
    all_ = {"held": [13], "defects": [13], "pairs": [169]}
    assert admit_upload(read(knobs), evidence(**many, **all_), told, FIRST)[1] == []
    with pytest.raises(UploadError) as refused:
        admit_upload(read({"patchcore.preset": "auto"}), evidence(**many, **all_), told, FIRST)
    assert refused.value.reason == "counts"
    many_images = site("graz", count=13, categories=("bolt",)).train
    assert counted(pictured(many_images), **knobs).held.tolist() == [13]
    assert counted(pictured(many_images)).held.tolist() == [12]


def test_images_of_which_nothing_is_valid_are_counted_as_nothing():
    """Where an image that is valid is not among those held out."""
    features, valid = pictured(MANY.train), np.zeros((24, 4, 4), bool)
    for seen in range(12):
        valid[:] = False
        valid[[seen, 12]] = True
        found = counted(replace(features, valid=valid))
        assert found.held.tolist() == [12, 12]
    many = pictured(site("graz", count=14, categories=("bolt",)).train)
    empty = 0
    for seen in range(14):
        valid = np.zeros((14, 4, 4), bool)
        valid[seen] = True
        found = counted(replace(many, valid=valid))
        upload = found.sealed("graz", "float32")
        told = enrolled(MANY, train={"bolt": 14}, longest=1e3)
        assert admit_upload(read({"patchcore.preset": "auto"}), upload, told, FIRST)[1] == []
        empty += not found.looked.any()
    assert empty == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"ordered": np.full((1, 2), 1), "found": np.full((1, 2, len(LEVELS)), 1)},
        {"found": np.full((1, len(CANDIDATES), 2), 1)},
    ],
)
def test_counts_of_another_shape_are_refused_by_a_site_in_a_line(changed):
    """As a server of another version would send them, or a hostile one."""
    method = method_of(read({"patchcore.preset": "auto"}))
    with pytest.raises(MismatchError, match=r"counts of all sites .* another version of fedad"):
        method.fit(embed(SITES[0].train), Turn(2, evidence(**changed)), rng=None)


def test_counts_of_very_many_products_are_refused_by_a_site_in_a_line():
    """As a hostile server would send them, to keep a site busy."""
    one, many = evidence(), PRODUCTS + 1
    columns = {name: np.repeat(getattr(one, name), many, axis=0) for name in Evidence.counted()}
    told = one.replace(**columns, categories=tuple(map(str, range(many))))
    method = method_of(read({"patchcore.preset": "auto"}))
    with pytest.raises(MismatchError, match="of 5,001 products, expected at most 5,000"):
        method.fit(embed(SITES[0].train), Turn(2, told), rng=None)


def test_a_spread_that_positions_cannot_travel_with_is_refused_in_a_line():
    config = read(POSITION)
    upload = fit(config, SITES[0], shaded).upload
    huge = upload.replace(squares=np.full_like(upload.squares, 1e18))
    for ask in (
        lambda: method_of(config).merge([huge], FIRST, rng=None),
        lambda: method_of(config).score(huge, shaded(SITES[0].test)),
    ):
        with pytest.raises(ConfigError, match=r"patchcore\.position = 0\.5: the features of bolt"):
            ask()


@pytest.mark.parametrize(
    "knobs", [{"patchcore.preset": "auto"}, {"round.method": "coded_patchcore"}]
)
def test_what_a_site_is_worth_is_asked_only_of_banks_of_one_round(knobs):
    """What `auto` counted, too, would have to be added anew without it."""
    assert leave_one_out(Path("no such folder"), read(knobs), ["image_auroc"]) == {}


def test_a_bank_whose_sums_are_not_what_its_fingerprint_says_is_refused_in_a_line():
    model, method = learn(read(POSITION), SITES, shaded).model, method_of(read({}))
    features = shaded(SITES[0].test)
    with pytest.raises(MismatchError, match="has squares, placed, looked, and its fingerprint"):
        method.score(model.replace(fingerprint=MARK_16), features)
    none = {name: np.empty((0, 0)) for name in SUMS}
    with pytest.raises(MismatchError, match="lacks squares, placed, looked, and its fingerprint"):
        method.score(model.replace(**none), features)
    with pytest.raises(MismatchError, match=rf"rows of {D + 2} features, expected {D}"):
        method.score(model.replace(**none, fingerprint=MARK_16), features)


def test_a_bank_with_its_scale_in_its_fingerprint_is_scored_and_mixes_with_no_other(tmp_path):
    """As banks with positions were before they had sums."""
    config = read(POSITION)
    learned, method = learn(config, SITES, shaded), method_of(config)
    save(tmp_path / "former", measured(learned.model))
    _, former = open_model(read({}), tmp_path / "former")
    features = shaded(SITES[0].test)
    for one, other in zip(
        method.score(former, features), method.score(learned.model, features), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    upload = learned.local["graz"].upload
    with pytest.raises(MismatchError, match=r"do not mix \(transform"):
        merge(config, [upload, former.replace(sites=("a", "b", "c"))])
    alone = measured(upload)
    with pytest.raises(UploadError) as refused:
        admit_upload(config, alone, enrolled(SITES[0]), FIRST)
    assert refused.value.reason == "fingerprint"


def test_a_file_in_words_of_a_later_version_is_named(tmp_path):
    model = learn(read(CUSTOM), SITES, embed).model
    later = replace(MARK_16, transform=MARK_16.transform + '; described {"":{"angle":1}}')
    save(tmp_path / "bank.safetensors", model.replace(fingerprint=later))
    with pytest.raises(MismatchError, match=r"bank\.safetensors: .*angle.*later version"):
        open_model(read({}), tmp_path / "bank.safetensors")


@pytest.mark.parametrize("method", ["patchcore", "coded_patchcore"])
def test_a_policy_is_asked_for_the_least_images_only_of_what_counts_some(method):
    def told(**knobs):
        named = {f"patchcore.{key.replace('_', '-')}": value for key, value in knobs.items()}
        config = read({"round.method": method, **named})
        return [
            one
            for one in beyond(Policy(smallest_group=6), config, lambda: 784)
            if "least-images" in one[1]
        ]

    assert not told()
    assert not told(preset="custom", standardise=1.0)
    assert not told(preset="custom", position=0.1)
    ((line, why),) = told(preset="auto")
    assert line == "smallest-group"
    assert why == "patchcore.least-images = 5: 6 or more is allowed"
    assert not told(preset="auto", least_images=6)
    assert read({"round.method": method, "patchcore.preset": "auto"}).unused() == []


class Pictures:
    """Drawn images, and a network that gives the mean and spread of each colour of 4 x 4 cells."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, image):
        rng = np.random.default_rng([*self.samples[image].name.encode()])
        y, x = np.mgrid[:64, :64]
        cells = 60 + 25 * (x // 16) + 9 * (y // 16)
        return np.clip(cells[..., None] + rng.normal(0, 9, (64, 64, 3)), 0, 255).astype(np.uint8)

    def embed(self, images):
        cells = np.stack(images).astype(np.float32).reshape(-1, 4, 16, 4, 16, 3)
        return np.concatenate([cells.mean((2, 4)), cells.std((2, 4))], axis=-1)


def pictured(samples):
    """The features of drawn images."""
    pixels = Pictures(samples)
    grid = pixels.embed([pixels[k] for k in range(len(samples))])
    return replace(embed(samples), grid=grid, pixels=pixels)


MANY = site("graz", count=12)


def in_parts(samples):
    """The same, of which few are in memory at a time."""
    return InParts(pictured, samples, (4, 4, D), 3000, Pictures(samples))


def counted(features, **knobs):
    config = read({"patchcore.preset": "auto", "coreset.local-ratio": 0.1, **knobs})
    return method_of(config).fit(features, FIRST, rng=np.random.default_rng(0))


@pytest.mark.parametrize("seen", [pictured, in_parts])
def test_auto_counts_on_drawn_defects_and_is_let_in(seen):
    found = counted(seen(MANY.train))
    assert found.held.tolist() == found.defects.tolist() == [12, 12]
    assert (found.defective >= 12).all()
    # By features alone, defects that can be seen are told from noise better than by chance.
    assert (found.ordered[:, 0] > 1.2 * found.pairs).all()
    assert (found.found[:, 0].mean(axis=1) > 3 * np.mean(LEVELS) * found.defective).all()
    assert (found.placed > 0.9 * found.looked).all()  # each cell has its own shade
    longest = float(np.linalg.norm(pictured(MANY.train).patches, axis=1).max())
    told = enrolled(MANY, train={"bolt": 12, "hose": 12}, longest=longest)
    upload = found.sealed("graz", "float32")
    assert admit_upload(read({"patchcore.preset": "auto"}), upload, told, FIRST)[1] == []
    for product in ("bolt", "hose"):
        assert chosen(found.of(product)).settings in CANDIDATES.values()


def test_auto_counts_the_same_in_parts():
    one, other = counted(pictured(MANY.train)), counted(in_parts(MANY.train))
    for name in Evidence.counted():
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)


def test_images_of_one_part_do_not_vouch_for_each_other():
    """Two shots of each part: an image is judged by other parts' rows alone."""
    features = pictured(MANY.train)
    grid = features.grid.copy()
    grid[1::2] = grid[::2]
    twice = replace(features, grid=grid)
    shown = tuple(f"{name} {k // 2}" for k, name in enumerate(features.categories))
    every = {"coreset.local-ratio": 1.0}
    alone, together = counted(twice, **every), counted(replace(twice, shown=shown), **every)
    # Its twin explains all of a good image, and nothing of a defect, wherever the limit lies.
    assert (alone.found[:, 0] == alone.found[:, 0, :1]).all()
    assert (together.found[:, 0] <= alone.found[:, 0]).all()
    assert (together.found[:, 0] < alone.found[:, 0]).any()


def test_an_image_of_which_nothing_is_valid_is_no_part_to_select_in():
    part = np.random.default_rng(0).normal(size=(40, D)).astype(np.float32)
    one, other = (
        cover_in_parts(parts, 5, 40, rng=np.random.default_rng(0), memory=2**20)
        for parts in ([part], [part[:0], part, part[:0]])
    )
    np.testing.assert_array_equal(one.numbers, other.numbers)


@pytest.mark.parametrize("knobs", [{"patchcore.position": 0.5}, EVERYTHING])
def test_banks_are_made_of_images_that_come_in_parts(knobs):
    """As many rows, each of them a described patch of the site."""
    config = read({**CUSTOM, **knobs, "coreset.local-ratio": 0.1})
    method, rng = method_of(config), np.random.default_rng(0)
    features = in_parts(MANY.train)
    bank = method.fit(features, FIRST, rng=rng)
    whole = method.fit(pictured(MANY.train), FIRST, rng=rng)
    assert len(bank) == len(whole) == 2 * 19
    for name in SUMS:
        np.testing.assert_allclose(getattr(bank, name), getattr(whole, name), rtol=1e-6)
    every = method.preset.written(pictured(MANY.train)).patches
    np.testing.assert_allclose(bank.rows, every[bank.source], rtol=1e-5, atol=1e-5)


def test_a_bank_that_says_more_is_scored_by_the_network_that_made_its_features(knobs):
    config = read(knobs)
    mark = Embedder(config.embedder).fingerprint
    model = learn(custom(patchcore__standardise=0.5), SITES, embed).model
    told = described(mark, table_of(model.fingerprint), {})
    found = embedder_of(config, model.replace(fingerprint=told), Path("bank.safetensors"))
    assert found.fingerprint == mark
    other = described(replace(mark, weights="1" * 64), table_of(model.fingerprint), {})
    with pytest.raises(MismatchError, match="this embedder differ"):
        embedder_of(config, model.replace(fingerprint=other), Path("bank.safetensors"))
