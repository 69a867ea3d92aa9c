"""Pictures that operators called good judge beside the model, and can be taken away again."""

import json
import shutil
from dataclasses import replace

import pytest

from fedad.errors import ConfigError, DataError
from fedad.inspection.opened import open_inspector
from fedad.models.adding import NOT_COUNTED, Found, add
from fedad.models.by_hand import add_file
from fedad.models.extras import add_normal, normals, remove_normal
from fedad.models.gate import Gate
from fedad.models.kept import kept_named
from fedad.models.store import MODELS, current, names
from fedad.models.teaching import teach
from fedad.permits.rules import Policy
from fedad.types import Site
from tests.models.conftest import ALL_IN, RATE
from tests.models.test_teaching import opened, scores


@pytest.fixture(scope="module")
def odd(plants):
    """A picture that the model stops."""
    return sorted((plants / "bolt" / "test" / "blot").iterdir())[0]


@pytest.fixture(scope="module")
def grown(taught, pictures, odd, tmp_path_factory):
    """Lyon, which knows bolt and hose, with an added normal of the bolt."""
    models = shutil.copytree(taught, tmp_path_factory.mktemp("extras") / MODELS, symlinks=True)
    teach(models, pictures / "hose", "hose", RATE, ALL_IN)
    before = current(models)
    assert add_normal(models, odd, "bolt", ALL_IN).is_current
    return models, before


@pytest.fixture
def models(grown, tmp_path):
    return shutil.copytree(grown[0], tmp_path / MODELS, symlinks=True)


def test_what_was_called_good_is_normal_from_then_on(grown, taught, odd, plants):
    models, _ = grown
    (one,) = normals(kept_named(models))
    assert (one["name"], one["product"]) == (odd.name, "bolt")
    was, now = (
        open_inspector(taught).inspect(odd, "bolt"),
        open_inspector(models).inspect(odd, "bolt"),
    )
    assert (was.verdict, now.verdict) == ("NOK", "OK")
    assert now.score < was.score / 2
    others = sorted((plants / "bolt" / "test" / "good").iterdir())
    for path in others:  # nobody else's score rises
        assert open_inspector(models).inspect(path, "bolt").score <= scores_of(taught, path)


def scores_of(models, path):
    return open_inspector(models).inspect(path, "bolt").score


def test_its_threshold_is_set_anew_and_nothing_else_changes(grown):
    models, before = grown
    kept, config, _ = opened(models)
    old = type(kept)(models / before)
    assert kept.stale() == {}
    limits, was = kept.limits(config), old.limits(config)
    assert limits["hose"] == was["hose"]
    assert limits["bolt"].promise.parts == was["bolt"].promise.parts == 6  # it rests on none added
    assert limits["bolt"].promise.threshold <= was["bolt"].promise.threshold
    assert (kept.folder / "model.safetensors").read_bytes() == (
        old.folder / "model.safetensors"
    ).read_bytes()


def test_the_most_alike_place_may_be_in_an_added_normal(grown, odd):
    inspector = open_inspector(grown[0])
    found = inspector.opened.images
    assert found[-1].path == odd
    assert len(found) == 13


def test_taken_away_it_was_never_there(models, grown, fedad):
    (one,) = normals(kept_named(models))
    with pytest.raises(DataError, match="0 added normals have a sha256 that begins with 'zz'"):
        remove_normal(models, "zz", ALL_IN)
    code, err, out = fedad("model", "normal", "--remove", one["sha256"][:8], "--models", models)
    assert (code, normals(kept_named(models))) == (0, []), err
    assert current(models) == grown[1]  # the same files, so the same name
    assert "judges from now on" in out


def test_nothing_is_put_out_for_a_new_one(models, plants, odd):
    with pytest.raises(DataError, match="one of the added normals already"):
        add_normal(models, odd, "bolt", ALL_IN)
    other = sorted((plants / "bolt" / "test" / "blot").iterdir())[1]
    rows = normals(kept_named(models))[0]["rows"]
    with pytest.raises(DataError, match=f"expected largest-extras = {rows} "):
        add_normal(models, other, "bolt", Gate(1.0, 1.0, extras=rows))
    assert Gate.of(Policy(largest_extras=7)).extras == 7
    with pytest.raises(ConfigError, match="the model knows bolt, hose"):
        add_normal(models, other, "nut", ALL_IN)
    with pytest.raises(DataError, match="no such file"):
        add_normal(models, other.with_name("gone.png"), "bolt", ALL_IN)


def test_several_are_numbered_and_the_first_can_go(models, plants):
    other = sorted((plants / "bolt" / "test" / "blot").iterdir())[1]
    assert add_normal(models, other, "bolt", ALL_IN).is_current
    both = kept_named(models).extras()
    assert {*both.bank.image.tolist()} == {0, 1}
    remove_normal(models, both.pictures[0].sha256, ALL_IN)
    left = kept_named(models).extras()
    assert [one.name for one in left.pictures] == [other.name]
    assert open_inspector(models).inspect(other, "bolt").verdict == "OK"


def test_where_images_are_gone_the_threshold_is_stale_and_says_so(models, plants, pictures, fedad):
    file = models / current(models) / "images.json"
    told = json.loads(file.read_text())
    told["images"][0]["path"] = "/nowhere/0000.png"
    file.write_text(json.dumps(told))
    other = sorted((plants / "bolt" / "test" / "blot").iterdir())[1]
    add_normal(models, other, "bolt", ALL_IN)
    assert "/nowhere/0000.png" in kept_named(models).stale()["bolt"]
    one = open_inspector(models).inspect(other, "bolt")
    assert "a normal was added" in one.told()["reason"]
    assert "a normal was added" in one.line()
    assert one.verdict == "OK"
    code, _, out = fedad("model", "info", "--models", models, "--card")
    assert code == 0
    assert "must be set anew" in out
    assert "2 pictures that were called good" in out
    words = ("model", "threshold", "--product", "bolt", "--models", models, "--good")
    assert fedad(*words, pictures / "long_bolt")[0] in (0, 1)
    made = kept_named(models, names(models)[-1])
    limits = made.limits(made.config())["bolt"]
    assert (made.stale(), limits.promise.parts, limits.promise.rate) == ({}, 6, RATE)


def test_they_are_listed_by_the_command(models, odd, fedad):
    code, _, out = fedad("model", "normal", "--models", models, "--json")
    (told,) = json.loads(out)["normals"]
    assert (code, told["name"]) == (0, odd.name)
    assert "path" not in told
    assert odd.name in fedad("model", "normal", "--models", models)[2]


def test_a_model_that_comes_later_has_them_too(models, plants, odd, pictures):
    """Of a variant that is taught, thresholds count the added normals."""
    assert teach(models, pictures / "long_bolt", "bolt", RATE, ALL_IN).is_current
    kept = kept_named(models)
    assert [one.name for one in kept.extras().pictures] == [odd.name]
    assert kept.stale() == {}
    assert kept.limits(kept.config())["bolt"].promise.parts == 12
    assert len(scores(models, plants / "bolt/test/good", "bolt")) == 6


def test_a_model_that_is_brought_is_calibrated_beside_them(models, odd, tmp_path):
    now = kept_named(models)
    file = shutil.copy(now.model_file, tmp_path / "brought")
    added = add_file({}, file, models, ALL_IN)
    kept = kept_named(models)
    assert added.is_current
    assert [one.name for one in kept.extras().pictures] == [odd.name]
    assert kept.stale() == {}
    assert kept.limits(kept.config())["bolt"] == now.limits(now.config())["bolt"]


def test_a_model_of_a_run_has_them_beside_it_and_is_stale(models):
    """A site judged its pictures in the run without them."""
    kept, config, model = opened(models)
    found = Found(kept.limits(config), kept.checked(), own_judges=True)
    limits = {**found.limits, "bolt": replace(found.limits["bolt"], looks=None)}  # another model
    site, own = Site("lyon", (), ()), kept.own(config)
    more = {"site": site, "own": own, "found": found._replace(limits=limits), "gate": ALL_IN}
    assert add(models, config, model, source="run 7", **more).is_current
    assert kept_named(models).stale() == {"bolt": NOT_COUNTED}
    assert len(kept_named(models).extras()) == len(kept.extras())
    other = model.replace(fingerprint=replace(model.fingerprint, weights="1" * 64))
    assert add(models, config, other, source="run 8", **more).is_current
    assert len(kept_named(models).extras()) == 0  # its rows are of another network
