"""Every federated method, found by its file name, obeys the laws of `methods/base.py`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fedad.config import read
from fedad.errors import ConfigError, FedadError, UploadError
from fedad.judging.admission import admit_upload
from fedad.messages.file import load, save
from fedad.methods.base import (
    FIRST,
    Foreseeing,
    Forgetting,
    Tracing,
    Turn,
    check_scorable,
    method_of,
)
from fedad.round import fit, learn, merge
from fedad.types import Enrolled, Fingerprint
from fedad.yardsticks import ALL
from tests.contracts.drawn_sites import MARK_16, D, cases, config_of, embed, far, site

SITES = [site("graz"), site("lyon"), site("turin", categories=("bolt",))]


@pytest.fixture(params=cases(), scope="module")
def config(request):
    return config_of(request.param)


@pytest.fixture(scope="module")
def method(config):
    return method_of(config)


@pytest.fixture(scope="module")
def learned(config):
    return learn(config, SITES, embed)


def same(one, other):
    """Two payloads hold the same bytes."""
    (mine, header), (theirs, other_header) = one.pack(private=True), other.pack(private=True)
    assert header == other_header
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert tensor.tobytes() == theirs[name].tobytes(), name


def is_same(one, other):
    try:
        same(one, other)
    except AssertionError:
        return False
    return True


def test_the_same_seed_gives_the_same_bytes_and_sites_come_in_any_order(config, learned):
    other = learn(config, SITES[::-1], embed)
    same(other.model, learned.model)
    for name, local in learned.local.items():
        same(other.local[name].own, local.own)
        same(other.local[name].upload, local.upload)


def test_what_travels_is_lossless_and_what_stays_does_not_travel(learned, tmp_path):
    for local in learned.local.values():
        tensors, header = local.upload.pack()
        same(type(local.upload).unpack(tensors, header), local.upload)
        own = local.own
        save(tmp_path / "own", own, private=True)
        same(load(tmp_path / "own", type(own)), own)
        assert own.sites == local.upload.sites
    save(tmp_path / "model", learned.model, method="x")
    same(load(tmp_path / "model", type(learned.model)), learned.model)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_floats_are_rounded_once(config, learned, dtype):
    shorter = replace(config, wire=replace(config.wire, dtype=dtype))
    found = learn(shorter, SITES, embed)
    for upload in (*(one.upload for one in found.local.values()), found.model):
        same(type(upload).unpack(*upload.pack()), upload)


def test_with_one_site_it_is_the_centralised_method(config, method, learned):
    """Scores do not depend on what the one site is called; streams do, so a seed each."""
    whole = [replace(SITES[0], name=ALL), replace(SITES[0], name="only")]
    one, other = (learn(config, [plant], embed) for plant in whole)
    for model in (one.model, other.model):
        maps, _ = method.score(model, embed(SITES[0].test))
        assert np.isfinite(maps).all()
    assert type(one.model) is type(learned.model)


def test_what_was_learned_scores_less_than_what_was_not(method, learned):
    good, good_scores = method.score(learned.model, embed(SITES[0].test))
    bad, bad_scores = method.score(learned.model, far(SITES[0].test))
    assert good.shape == bad.shape == (8, 4, 4)
    assert good.dtype == bad.dtype == good_scores.dtype == np.float32
    assert np.median(bad[:, 1:3, 1:3]) > np.quantile(good, 0.95)
    assert np.median(bad_scores) > np.median(good_scores)
    # Where nothing was changed, the scores are those of the good image.
    np.testing.assert_array_equal(bad[:, 0], good[:, 0])


def test_an_image_scores_the_same_alone_and_among_others(method, learned):
    whole = embed(SITES[0].test)
    maps, scores = method.score(learned.model, whole)
    for k in range(len(maps)):
        map_, score = method.score(learned.model, whole.take([k]))
        np.testing.assert_array_equal(map_[0], maps[k])
        assert score[0] == scores[k]


def test_what_is_honest_is_admitted_in_every_round(config, method):
    """As the server hears it: unpacked, admitted, merged, packed, and so on."""
    turn, own = FIRST, {}
    for kinds in method.rounds:
        uploads = []
        for plant in SITES:
            local = fit(config, plant, embed, turn, own.get(plant.name))
            own[plant.name] = local.own
            assert type(local.upload) is kinds.upload
            sent = kinds.upload.unpack(*local.upload.pack())
            admitted, odd = admit_upload(config, sent, enrolled(plant), turn)
            assert odd == []
            same(admitted, sent)
            uploads.append(admitted)
        model = merge(config, uploads, turn)
        assert type(model) is kinds.model
        turn = Turn(turn.number + 1, kinds.model.unpack(*model.pack()))
    same(turn.model, learn(config, SITES, embed).model)


def enrolled(plant, **changed):
    counts = {c: 4 for c in ("bolt", "hose") if any(s.category == c for s in plant.train)}
    longest = float(np.linalg.norm(embed(plant.train).patches, axis=1).max())
    return Enrolled(plant.name, counts, {}, MARK_16, D, longest)._replace(**changed)


def first_upload(config, plant, **changed):
    return fit(config, plant, embed).upload.replace(**changed)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"site": "oslo"}, "identity"),
        ({"train": {"hose": 4}}, "names"),
        ({"fingerprint": replace(MARK_16, weights="1" * 64)}, "fingerprint"),
    ],
)
def test_an_upload_that_is_not_of_who_enrolled_is_refused_by_its_word(config, changed, word):
    upload = first_upload(config, SITES[2])
    with pytest.raises(UploadError) as refused:
        admit_upload(config, upload, enrolled(SITES[2], **changed), FIRST)
    assert refused.value.reason == word


def test_more_images_than_were_enrolled_are_refused(config):
    few = enrolled(SITES[0], train={"bolt": 1, "hose": 1})
    with pytest.raises(UploadError) as refused:
        admit_upload(config, first_upload(config, SITES[0]), few, FIRST)
    assert refused.value.reason == "counts"


@pytest.mark.parametrize(
    ("field", "value"),
    [("backbone", "other"), ("weights", "1" * 64), ("layers", "layer2"), ("size", 128)],
)
def test_uploads_of_another_network_are_refused_naming_both_sites_and_what_differs(
    config, field, value
):
    mark = Fingerprint(**{**vars(MARK_16), field: value})
    other = first_upload(config, SITES[0], fingerprint=mark)
    with pytest.raises(FedadError, match=rf"graz and lyon do not mix \({field}: {value}"):
        merge(config, [other, first_upload(config, SITES[1])])


def test_threads_and_batch_size_keep_no_two_uploads_apart(config):
    upload = first_upload(config, SITES[0])
    mark = replace(upload.fingerprint, threads=7, batch=99)
    other = upload.replace(fingerprint=mark)
    assert merge(config, [other, first_upload(config, SITES[1])])


def test_an_upload_that_comes_twice_is_refused(config):
    twice = first_upload(config, SITES[1])
    with pytest.raises(FedadError, match="'lyon' comes twice"):
        merge(config, [twice, twice])


def test_images_of_another_network_than_the_models_are_not_scored(method, learned):
    foreign = replace(embed(SITES[0].test), fingerprint=replace(MARK_16, backbone="other"))
    with pytest.raises(FedadError, match="backbone: tiny and other"):
        method.score(learned.model, foreign)


def test_a_category_that_nobody_learned_is_named(method, learned):
    nobody = site("graz", categories=("gear",)).test
    assert not method.judges(learned.model, "gear")
    assert method.judges(learned.model, "hose")
    with pytest.raises(FedadError, match="'gear': no site has a good image"):
        method.score(learned.model, embed(nobody))


def test_what_the_record_says_is_json_and_the_scale_has_two_ends(method, learned):
    told = method.describe(learned.model)
    assert json.loads(json.dumps(told)) == told
    assert any(isinstance(value, int) for value in told.values())
    scale = method.scale(learned.model)
    assert set(scale) == {"bolt", "hose"}
    assert all(low < high for low, high in scale.values())


def test_a_site_that_was_away_for_a_round_may_come_back_where_the_method_says_so(config, method):
    if not method.rejoins or len(method.rounds) == 1:
        pytest.skip("a method whose sites may not come back")
    early = merge(config, [fit(config, plant, embed).upload for plant in SITES[:2]])
    second = Turn(2, early)
    local = fit(config, SITES[2], embed, second, None)
    assert merge(config, [local.upload], second)


def test_what_can_be_traced_adds_up(method, learned):
    if not isinstance(method, Tracing):
        pytest.skip("a method that cannot trace")
    features = embed(SITES[0].test)
    found = method.trace(learned.model, features, own=learned.own("graz"), site="graz")
    maps, scores = method.score(learned.model, features, own=learned.own("graz"))
    np.testing.assert_array_equal(found.maps, maps)
    np.testing.assert_array_equal(found.scores, scores)
    assert found.nearest.min() >= 0
    assert found.nearest.max() < len(found.sites)
    assert (found.alone >= scores - 1e-4).all()


def test_what_is_forgotten_leaves_nothing_behind(config, method, learned):
    if not isinstance(method, Forgetting):
        pytest.skip("a method that cannot forget")
    without = method.without_site(learned.model, "graz")
    assert not method.judges(method.without_site(without, "lyon"), "hose")
    model, own = method.without_images(learned.model, learned.own("graz"), "graz", [0])
    assert len(model) < len(learned.model)
    assert len(own) < len(learned.own("graz"))


def test_what_is_foreseen_is_refused_before_the_run(config, method):
    if not isinstance(method, Foreseeing):
        pytest.skip("a method that foresees nothing")
    method.foresee([{"bolt": 4}], 16)
    large = replace(config, bank=replace(config.bank, size=10**6))
    with pytest.raises(ConfigError, match=r"bank\.size = 1000000"):
        method_of(large).foresee([{"bolt": 4}], 16)


def test_check_scorable_lets_pass_what_the_model_knows(learned):
    check_scorable(learned.model, embed(SITES[0].test))


def test_products_do_not_explain_each_other_unless_mixed():
    apart, mixed = config_of("patchcore"), read({"bank.scope": "mixed", "coreset.local-ratio": 0.5})
    hoses = embed([s for s in SITES[0].train if s.category == "hose"])
    hoses_called_bolts = replace(hoses, categories=("bolt",) * 4)
    far_, near = (
        method_of(config).score(learn(config, SITES, embed).model, hoses_called_bolts)[0]
        for config in (apart, mixed)
    )
    assert far_.min() > 2 * near.max()


def test_coverage_is_for_banks_alone():
    asking = config_of("gaussian")
    asking = replace(asking, merge=replace(asking.merge, weighting="coverage"))
    with pytest.raises(ConfigError, match=r"merge\.weighting = 'coverage'.*'gaussian'"):
        method_of(asking)
