"""What a site keeps after it built alone, was brought a merge, or took part in a run."""

import json
import shutil
from dataclasses import replace

import pytest

from fedad.config import read
from fedad.errors import DataError
from fedad.inspection.opened import open_inspector
from fedad.judging.thresholds import GoodScore
from fedad.models.by_hand import add_file, build_and_keep
from fedad.models.gate import Gate
from fedad.models.kept import Kept, kept_at
from fedad.models.store import MODELS, current, names, previous
from fedad.permits.rules import Policy, read_policy
from fedad.running.by_hand import build, merge_files

LENIENT = Gate(false_rejects=1.0, lost_defects=1.0)


@pytest.fixture(scope="module")
def settings(knobs):
    return read({**knobs, "data.dataset": "auto", "score.false-rejects": 0.2})


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lyon") / MODELS
    added, rows = build_and_keep(settings, "lyon", None, folder, LENIENT)
    assert added.is_current
    assert rows > 0
    return folder


@pytest.fixture
def models(alone, tmp_path):
    return shutil.copytree(alone, tmp_path / MODELS, symlinks=True)


@pytest.fixture(scope="module")
def merged(settings, plants, tmp_path_factory):
    """Lyon's bank and another plant's, as one."""
    root = tmp_path_factory.mktemp("merged")
    for site in ("lyon", "graz"):
        config = settings
        if site == "graz":
            shutil.copytree(plants / "bolt", root / "graz" / "bolt")
            for file in sorted((root / "graz/bolt/train/good").iterdir())[:3]:
                file.unlink()
            (root / "graz/bolt/sites.csv").unlink()
            config = replace(settings, data=replace(settings.data, dir=str(root / "graz")))
        build(config, site, root / f"{site}.safetensors")
    merge_files(
        settings, [root / "lyon.safetensors", root / "graz.safetensors"], root / "bank.safetensors"
    )
    return root / "bank.safetensors"


def test_a_bank_built_alone_is_a_whole_model(alone, plants):
    kept = Kept(alone / current(alone))
    config = kept.config()
    limits, told = kept.limits(config), kept.passport()
    assert set(limits) == {"bolt", "hose"}
    assert all(one.promise.parts == 6 and len(one.good) == 6 for one in limits.values())
    assert isinstance(limits["bolt"].good[0], GoodScore)
    assert told["source"] == "built alone"
    assert told["own_judges"]
    assert kept.own(config) is not None
    site, images = kept.images()
    assert site == "lyon"
    assert len([one for one in images if one.use == "train"]) == 12
    checked = kept.checked()
    assert {one.rests for one in checked if one.is_good} == {True, False}
    assert {one.product for one in checked} == {"bolt", "hose"}
    assert all((plants / one.path).is_file() for one in images)


def test_a_merge_that_is_brought_is_calibrated_by_the_sites_own_images(models, merged):
    before = current(models)
    added = add_file({}, merged, models, LENIENT)
    assert added.is_current
    assert previous(models) == before
    kept = Kept(models / added.name)
    assert kept.passport()["sites"] == ["graz", "lyon"]
    assert kept.own_judges()
    promised = kept.limits(kept.config())["bolt"].promise
    assert (promised.rate, promised.parts) == (0.2, 6)  # as the model before it had it
    assert kept.passport()["source"].startswith("brought as bank.safetensors")
    assert add_file({}, merged, models, LENIENT).name == added.name  # the same is the same
    inspector = open_inspector(models)
    assert inspector.opened.name == added.name
    assert inspector.opened.site == "lyon"


def _with_a_scratch(folder):
    """As if one good test picture had a scratch, which this model had found."""
    file, table = folder / "images.json", folder / "checked.json"
    images, told = json.loads(file.read_text()), json.loads(table.read_text())
    rows = [one for one in images["images"] if one["use"] == "test" and one["defect"] == "good"]
    passed = {row["name"] for row in told["pictures"] if row["score"] < 0.9 * row["limit"]}
    row = next(one for one in rows if one["name"] in passed)
    row["defect"], old = "scratch", row["name"]
    row["name"] = old.replace("/good/", "/scratch/")
    for one in told["pictures"]:
        if one["name"] == old:
            one |= {"name": row["name"], "defect": "scratch", "limit": -1.0}
    file.write_text(json.dumps(images))
    table.write_text(json.dumps(told))


def test_a_model_that_fails_the_gate_waits_and_the_old_one_judges(models, merged, fedad):
    before = current(models)
    _with_a_scratch(models / before)
    added = add_file({}, merged, models, Gate(false_rejects=1.0))
    assert not added.is_current
    assert current(models) == before
    assert "own defects that were found are lost" in added.told()[0]
    code, _, out = fedad("model", "list", "--models", models, "--json")
    assert code == 0
    rows = {row["model"]: row for row in json.loads(out)}
    assert rows[before]["current"]
    assert "are lost" in rows[added.name]["waits"]
    assert fedad("model", "accept", added.name[:6], "--models", models)[0] == 0
    assert current(models) == added.name
    code, _, out = fedad("model", "rollback", "--models", models, "--json")
    assert json.loads(out) == {"current": before}
    code, _, out = fedad("model", "diff", added.name[:6], "--models", models, "--json")
    assert code == 0
    assert json.loads(out)["changed"]


def test_info_and_its_card_say_what_a_model_is(models, fedad):
    code, _, out = fedad("model", "info", "--models", models, "--card")
    assert code == 0
    for words in ("# Model", "built alone", "bolt", "## Privacy", "## Licences", "threshold"):
        assert words in out
    code, _, out = fedad("model", "info", "--models", models, "--json")
    assert json.loads(out)["site"] == "lyon"
    assert fedad("model", "rollback", "--models", models)[0] == 3
    assert fedad("model", "info", "--models", models / "nowhere")[0] == 3


def test_a_file_without_anything_to_calibrate_by_says_so(merged, tmp_path):
    with pytest.raises(DataError, match="nothing says where its thresholds come from"):
        add_file({}, merged, tmp_path / "new", LENIENT)


def test_images_that_are_gone_are_named(models, merged):
    file = models / current(models) / "images.json"
    told = json.loads(file.read_text())
    told["images"][0]["path"] = "/nowhere/0000.png"
    file.write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"/nowhere/0000\.png: 1 of the images .* --good"):
        add_file({}, merged, models, LENIENT)


def test_a_folder_that_is_no_model_is_refused(tmp_path, models):
    with pytest.raises(DataError, match="no model that a site keeps"):
        kept_at(tmp_path)
    file = models / current(models) / "passport.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 9}))
    with pytest.raises(DataError, match="schema 9, expected 1"):
        kept_at(models / current(models)).passport()


def test_margins_of_the_gate_are_lines_of_the_policy(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text("gate-false-rejects = 0.05\ngate-lost-defects = 0.1\n")
    assert Gate.of(read_policy(file)) == Gate(0.05, 0.1)
    assert Gate.of(Policy()) == Gate(0.0, 0.0)


def test_the_command_builds_and_keeps_in_one_step(fedad, plants, knobs, tmp_path):
    own = [f"-c{key}={value}" for key, value in knobs.items() if key.startswith("embedder.")]
    words = ("bank", "build", plants / "bolt", "--site", "lyon", "--out", tmp_path / "bank")
    code, err, out = fedad(
        *words, "--models", tmp_path / MODELS, *own, "-c", "score.false-rejects=0.2"
    )
    assert "judges from now on" in out or "waits" in out, err
    assert (tmp_path / "bank").exists()
    assert len(names(tmp_path / MODELS)) == 1
    assert code in (0, 1)
