"""The presets of `patchcore`: what knobs refuse, what banks carry, how `auto` chooses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.banks.coreset_in_parts import cover_in_parts
from fedad.compare.value import leave_one_out
from fedad.config import read
from fedad.descriptors.apply import described_features
from fedad.descriptors.settings import ALL, OFF, described, table_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.in_parts import InParts
from fedad.errors import ConfigError, DataError, MismatchError, UploadError
from fedad.judging.admission import admit_upload
from fedad.leakage.gaps import target_of
from fedad.messages.file import load, save
from fedad.methods._evidence import LEVELS, Evidence, Spread, added
from fedad.methods._presets import CANDIDATES, FIXED, MARGIN, PLACED, PRODUCTS, chosen
from fedad.methods.base import FIRST, Turn, forgotten, method_of
from fedad.permits.settings import beyond
from fedad.plugins import names
from fedad.policy import Policy
from fedad.round import fit, learn, merge
from fedad.running.attacked import attacked_federation
from fedad.running.model_file import embedder_of, open_model
from tests.contracts.drawn_sites import MARK_16, D, embed, far, site
from tests.contracts.test_methods import enrolled, same

SITES = [site("graz"), site("lyon"), site("turin", categories=("bolt",))]
EVERYTHING = {
    "patchcore.position": 0.5,
    "patchcore.standardise": 0.5,
    "patchcore.density": 0.5,
    "patchcore.smoothed-maximum": 0.1,
}
ALONE = [{key: value} for key, value in EVERYTHING.items()]
CUSTOM = {"patchcore.preset": "custom", "patchcore.least-images": 2, "coreset.local-ratio": 0.5}
POSITION = {**CUSTOM, "patchcore.preset": "position"}


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

    assert asked(preset="classic") == ([Bank], False)
    assert asked(preset="custom", standardise=1.0, density=1.0) == ([Bank], False)
    assert asked(preset="custom", position=0.1) == ([Spread, Bank], False)
    assert asked(preset="position") == ([Spread, Bank], False)
    assert asked(preset="auto") == ([Evidence, Bank], True)


def test_custom_without_a_knob_is_classic():
    one, other = (
        learn(read({"coreset.local-ratio": 0.5, "patchcore.preset": preset}), SITES, embed)
        for preset in ("classic", "custom")
    )
    same(one.model, other.model)
    assert one.model.fingerprint == MARK_16


@pytest.mark.parametrize(
    "knobs",
    [
        {"privacy.release": "noisy_rows"},
        {"merge.weighting": "coverage"},
    ],
)
@pytest.mark.parametrize("preset", ["position", "auto"])
def test_what_presets_do_not_go_with_is_said_in_a_line(preset, knobs):
    ((key, value),) = knobs.items()
    with pytest.raises(ConfigError, match=rf"{key} = '{value}'.*patchcore\.preset = '{preset}'"):
        method_of(read({"patchcore.preset": preset, **knobs}))


def test_a_smoothed_maximum_and_weighing_one_patch_exclude_each_other():
    both = {"score.scoring": "nearest", "score.neighbours": 3, "patchcore.smoothed-maximum": 0.1}
    with pytest.raises(ConfigError, match=r"score\.neighbours = 3: expected 1"):
        method_of(read({**CUSTOM, **both}))


def test_the_scale_is_that_of_all_sites_features_by_product():
    learned = learn(read(POSITION), SITES, embed)
    table = table_of(learned.model.fingerprint)
    for name in ("bolt", "hose"):
        squares, count = 0.0, 0
        for plant in SITES:
            mine = [s for s in plant.train if s.category == name]
            if mine:
                patches = embed(mine).patches.astype(float)
                squares += np.square(patches - patches.mean(0)).sum()
                count += len(patches)
        assert table[name].scale == pytest.approx(np.sqrt(squares / count), rel=1e-5)
        assert table[name].position == FIXED.position
    assert learned.model.rows.shape[1] == D + 2
    reach = table["bolt"].position * table["bolt"].scale
    bolts = learned.model.of_category("bolt").rows[:, D:]
    np.testing.assert_allclose(np.abs(bolts).max(), reach, rtol=1e-6)


def test_a_product_that_no_site_has_enough_images_of_has_no_positions():
    few = [site("graz", count=1), site("lyon", count=1)]
    model = learn(read(POSITION), few, embed).model
    assert table_of(model.fingerprint) == {ALL: OFF} or model.fingerprint == MARK_16
    assert model.rows.shape[1] == D


def test_what_is_normal_here_is_not_normal_there():
    """The same look at another place of the image."""
    learned = learn(read(POSITION), SITES, embed)
    method, features = method_of(read(POSITION)), embed(SITES[0].train)
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


def test_a_second_round_of_another_weight_is_not_let_in():
    counted = merge(read(POSITION), [fit(read(POSITION), plant, embed).upload for plant in SITES])
    other = custom(patchcore__position=0.25)
    upload = fit(other, SITES[0], embed, Turn(2, counted)).upload
    assert admit_upload(other, upload, enrolled(SITES[0]), Turn(2, counted))
    with pytest.raises(UploadError) as refused:
        admit_upload(read(POSITION), upload, enrolled(SITES[0]), Turn(2, counted))
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
    learned, method = learn(config, SITES, embed), method_of(config)
    model, own, features = learned.model, learned.own("graz"), embed(SITES[0].train)
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
    model = learn(config, SITES, embed).model
    save(tmp_path / "bank", model)
    opened, plain = load(tmp_path / "bank", Bank), method_of(read({}))
    for found, expected in zip(
        plain.score(opened, embed(SITES[1].test)),
        method_of(config).score(model, embed(SITES[1].test)),
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
        "patches": [128],
        "squares": [[40.0, 90.0]],
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
    arrays = {
        name: np.asarray(value, np.float64 if name == "squares" else np.int64)
        for name, value in table.items()
    }
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
    one, other = evidence(), evidence(held=[7], squares=[[1.0, 2.0]])
    other = other.replace(sites=("lyon",), categories=("hose",))
    third = evidence(squares=[[5.0, 6.0]]).replace(sites=("turin",))
    found = added([one, other, third])
    assert found.categories == ("bolt", "hose")
    assert found.held.tolist() == [16, 7]
    assert found.squares.tolist() == [[45.0, 96.0], [1.0, 2.0]]
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
    "spread": {"squares": [[1e12, 1.0]]},
    "blends": {"squares": [[1.0]]},
    "candidates": {"ordered": np.full((1, 2), 1)},
    "patches in all": {"patches": [161]},
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
    assert refused.value.reason in ("counts", "norm", "shape")


def test_a_product_of_few_images_is_in_no_count():
    config = read({"patchcore.preset": "position", "patchcore.least-images": 5})
    some = site("graz", count=5)
    few = site("lyon", count=4)
    assert fit(config, some, embed).upload.categories == ("bolt", "hose")
    upload = fit(config, few, embed).upload
    assert upload.categories == ()
    assert not upload.squares.size


def test_what_looks_at_features_as_the_network_gives_them_refuses_other_rows():
    """Attacks by rows of the site's own making, and attacks that compare rows with features."""
    config = custom(patchcore__standardise=0.5)
    with pytest.raises(ConfigError, match=r"expected patchcore\.preset = 'classic'"):
        attacked_federation(config)
    with pytest.raises(ConfigError, match="the attacks are on banks"):
        attacked_federation(read(POSITION))
    model = learn(config, SITES, embed).model
    with pytest.raises(DataError, match=r"described further, by patchcore\.preset"):
        target_of(model, "bolt")
    model = learn(custom(patchcore__density=0.5), SITES, embed).model
    assert len(target_of(model, "bolt").rows)


def test_a_site_holds_out_as_many_as_the_least_it_counts_of():
    """Of 13 images 12, and all where a site counts nothing of fewer; no site says more."""
    knobs = {"patchcore.preset": "auto", "patchcore.least-images": 13}
    told = enrolled(SITES[0], train={"bolt": 13})
    many = {"images": [13], "patches": [208]}
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
        {"squares": [[1.0]]},
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


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_spread_that_positions_cannot_travel_with_is_refused_in_a_line(dtype):
    config = read({**POSITION, "wire.dtype": dtype})
    upload = fit(config, SITES[0], embed).upload
    huge = upload.replace(squares=np.full_like(upload.squares, 1e18))
    for ask in (
        lambda: method_of(config).merge([huge], FIRST, rng=None),
        lambda: fit(config, SITES[0], embed, Turn(2, huge)),
    ):
        with pytest.raises(ConfigError, match=r"patchcore\.position = 0\.5: the features of bolt"):
            ask()


@pytest.mark.parametrize("knobs", [POSITION, {"round.method": "coded_patchcore"}])
def test_what_a_site_is_worth_is_asked_only_of_banks_of_one_round(knobs):
    """A preset's counts, too, would have to be added anew without it."""
    assert leave_one_out(Path("no such folder"), read(knobs), ["image_auroc"]) == {}


def test_a_bank_whose_rows_are_not_what_its_fingerprint_says_is_refused_in_a_line():
    model = learn(read(POSITION), SITES, embed).model
    with pytest.raises(MismatchError, match=rf"rows of {D + 2} features, expected {D}"):
        method_of(read({})).score(model.replace(fingerprint=MARK_16), embed(SITES[0].test))


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
    for knobs in ({"preset": "auto"}, {"preset": "custom", "position": 0.1}):
        ((line, why),) = told(**knobs)
        assert line == "smallest-group"
        assert why == "patchcore.least-images = 5: 6 or more is allowed"
        assert not told(**knobs, least_images=6)
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
    told = method.fit(features, FIRST, rng=rng)
    model = method.merge([told.sealed("graz", "float32")], FIRST, rng=rng)
    bank = method.fit(features, Turn(2, model), rng=rng)
    whole = method.fit(pictured(MANY.train), Turn(2, model), rng=rng)
    assert len(bank) == len(whole) == 2 * 19
    table = table_of(bank.fingerprint)
    every = described_features(pictured(MANY.train), table).patches
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
