"""`fedad leak` from the command line, on drawn parts and a random network."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from fedad import wire
from fedad.banks.bank import Bank
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.messages.file import load, save
from fedad.partition import partition
from fedad.reporting.record import SCHEMA
from fedad.round import learn
from fedad.running.by_hand import build
from fedad.running.leak_run import _left_out
from tests.conftest import draw_category
from tests.contracts.drawn_sites import config_of, embed, site

IMAGES = 10  # a site has so many good ones to learn from, and as many to judge


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """One product at three sites."""
    root = tmp_path_factory.mktemp("parts")
    draw_category(root / "bolt", "bolt", train=IMAGES, test=IMAGES)
    return root


@pytest.fixture(scope="module")
def folders(parts, tmp_path_factory):
    """The good images to learn from, and those to judge, in folders of pictures."""
    root = tmp_path_factory.mktemp("folders")
    for split in ("train", "test"):
        shutil.copytree(parts / "bolt" / split / "good", root / split)
    return root / "train", root / "test"


@pytest.fixture(scope="module")
def setting(knobs):
    return {**knobs, "coreset.local-ratio": 0.25}


@pytest.fixture(scope="module")
def bank(setting, folders, tmp_path_factory):
    config = read({**setting, "data.dir": str(folders[0]), "data.dataset": "auto"})
    file = tmp_path_factory.mktemp("bank") / "bern.safetensors"
    build(config, "bern", file)
    return file


@pytest.fixture
def leak(fedad, setting):
    """`fedad leak ...` with the small network's weights."""
    own = [f"-cembedder.{name}={setting[f'embedder.{name}']}" for name in ("weights", "cache")]

    def run(*words):
        return fedad("leak", *words, *own, "-cembedder.threads=1", "-cembedder.batch=4")

    return run


def told(said):
    (one,) = json.loads(said)["banks"]
    return one


def product(said):
    (found,) = told(said)["products"].values()
    return found


def test_a_bank_gives_away_what_it_was_made_of(leak, bank, folders, tmp_path):
    members, others = folders
    code, error, said = leak(
        bank, "--members", members, "--others", others, "--out", tmp_path / "out"
    )
    assert code == 0, error
    assert "not measurable below 100 members and 100 others (there are 30 and 30)" in said
    assert "AUC 1.000 (0.8" in said or "AUC 1.000 (0.9" in said
    assert "does not show that nothing leaks" in said
    written = json.loads((tmp_path / "out" / "leak.json").read_text())
    (found,) = written["banks"][0]["products"].values()
    assert found["rows"]["share"] == 1
    assert found["rows"]["mean"] == pytest.approx(found["rows"]["rows"] / 30)
    assert found["statistics"]["least"]["found"] is None
    assert "| least |" in (tmp_path / "out" / "leak.md").read_text()
    assert oct(os.stat(tmp_path / "out" / "leak.json").st_mode)[-3:] == "600"


def test_json_alone_is_printed(leak, bank, folders):
    code, _, said = leak(bank, "--members", folders[0], "--others", folders[1], "--json")
    assert code == 0
    assert product(said)["statistics"]["least"]["auc"] == 1
    assert product(said)["members"] == product(said)["others"] == 30


def test_others_are_not_recognised(leak, bank, folders, tmp_path):
    """The bank was made of none of them: half of them are called members."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    for number, path in enumerate(sorted(folders[1].iterdir())):
        shutil.copy(path, tmp_path / ("one", "two")[number % 2])
    code, error, said = leak(
        bank, "--members", tmp_path / "one", "--others", tmp_path / "two", "--json"
    )
    assert code == 0, error
    found = product(said)
    assert all(one["low"] < 0.5 < one["high"] for one in found["statistics"].values())
    assert found["rows"]["verbatim"] == 0


def test_one_data_set_named_twice_is_members_and_others(leak, bank, parts):
    """The images to learn from are members, the others are not."""
    code, error, said = leak(bank, "--members", parts, "--others", parts, "--json")
    assert code == 0, error
    assert (product(said)["members"], product(said)["others"]) == (30, 30)
    assert any("30 of 60 images are members too" in note for note in told(said)["notes"])


def test_a_run_stands_for_its_bank_and_for_each_upload_whose_images_are_known(
    leak, setting, parts, tmp_path
):

    config = read({**setting, "data.dir": str(parts), "data.dataset": "autovi"})
    sites = partition(open_dataset(config.data), config.data, seed=0)
    learned = learn(config, sites, Embedder(config.embedder))
    run = tmp_path / "run"
    save(run / "bank.safetensors", learned.model, method="patchcore")
    for name, local in learned.local.items():
        save(run / "uploads" / f"{name}.safetensors", local.upload)
    code, error, said = leak(run, "--members", parts, "--others", parts, "--json")
    assert code == 0, error
    whole, *uploads = json.loads(said)["banks"]
    assert whole["sites"] == ["graz", "lyon", "turin"]
    assert [one["sites"] for one in uploads] == [["graz"], ["lyon"], ["turin"]]
    for one in uploads:
        found = one["products"]["bolt"]
        assert (found["members"], found["statistics"]["least"]["auc"]) == (IMAGES, 1)
        assert found["rows"]["share"] == 1
        assert found["rows"]["told"] == IMAGES
    assert whole["products"]["bolt"]["members"] == 3 * IMAGES
    shutil.copytree(parts / "bolt" / "train" / "good", tmp_path / "plain")
    code, error, said = leak(run, "--members", tmp_path / "plain", "--others", parts, "--json")
    assert code == 0, error
    assert "graz.safetensors is not attacked: nothing says which" in told(said)["notes"][-3]


def test_a_sites_own_sealed_answer(leak, bank, folders, tmp_path):
    content = wire.pack(load(bank, Bank))
    wire.save(tmp_path / "upload.safetensors", content, **{"made-of": "x"})
    code, error, said = leak(
        tmp_path / "upload.safetensors", "--members", folders[0], "--others", folders[1], "--json"
    )
    assert code == 0, error
    assert product(said)["rows"]["share"] == 1


def refused(leak, *words):
    code, said, out = leak(*words)
    assert (code in {1, 2, 3}, said.count("\n"), said[:7], out) == (True, 1, "error: ", ""), said
    return said


def test_what_is_wrong_is_one_line(leak, bank, folders, parts, tmp_path):
    members, others = folders
    (tmp_path / "empty").mkdir()
    assert "no such file or folder" in refused(
        leak, tmp_path / "no", "--members", members, "--others", others
    )
    assert "no bank.safetensors in it" in refused(
        leak, tmp_path, "--members", members, "--others", others
    )
    assert "empty" in refused(leak, bank, "--members", tmp_path / "empty", "--others", others)
    assert "gone" in refused(leak, bank, "--members", members, "--others", tmp_path / "gone")
    assert "all 30 good images are in" in refused(
        leak, bank, "--members", members, "--others", members
    )
    assert "'nut'" in refused(
        leak, bank, "--members", members, "--others", others, "--product", "nut"
    )
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no picture")
    assert "a.png" in refused(leak, bank, "--members", broken, "--others", others)
    text = tmp_path / "text.safetensors"
    text.write_text("no tensors")
    assert "not a whole" in refused(leak, text, "--members", members, "--others", others)


def test_images_that_cannot_be_read_are_left_out_and_named(leak, bank, folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "some")
    (tmp_path / "some" / "9999.png").write_bytes(b"no picture")
    code, _, said = leak(bank, "--members", tmp_path / "some", "--others", folders[1], "--json")
    assert (code, product(said)["members"]) == (0, 30)
    assert any("9999.png" in note and "1 of 31" in note for note in told(said)["notes"])


def test_a_bank_of_another_network(leak, fedad, bank, folders, tmp_path):
    other = tmp_path / "other.safetensors"

    whole = load(bank, Bank)
    save(other, whole.replace(fingerprint=replace(whole.fingerprint, weights="1" * 64)))
    said = refused(leak, other, "--members", folders[0], "--others", folders[1])
    assert "the model and this embedder differ (weights" in said


def test_a_model_without_rows(leak, folders, tmp_path, setting):

    config = config_of("gaussian")

    model = learn(config, [site("lyon"), site("graz")], embed).model
    save(tmp_path / "model.safetensors", model, method="gaussian")
    said = refused(
        leak, tmp_path / "model.safetensors", "--members", folders[0], "--others", folders[1]
    )
    assert "a model of the method gaussian, which has no rows" in said
    said = refused(leak, tmp_path, "--members", folders[0], "--others", folders[1])
    assert "the run left model.safetensors, which is no bank" in said


def test_help_is_quick():
    """It loads neither torch nor Flower."""
    code = "import sys, fedad.cli\nassert not {'torch', 'flwr', 'scipy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.reliability
def test_a_decoder_draws_what_the_rows_show(leak, bank, folders, tmp_path):
    code, error, said = leak(
        bank,
        "--members",
        folders[0],
        "--others",
        folders[1],
        "--decoder",
        "--out",
        tmp_path / "out",
    )
    assert code == 0, error
    assert "beside the mean crop, which no attacker has" in said
    (found,) = json.loads((tmp_path / "out" / "leak.json").read_text())["banks"][0][
        "products"
    ].values()
    assert {*found["decoders"]} == {"linear", "mlp"}
    assert found["decoders"]["linear"]["seen"] > 0.3
    assert found["decoded_rows_are_patches"]
    (picture,) = (tmp_path / "out").glob("*.png")
    with Image.open(picture) as sheet:
        assert sheet.size[0] > 600


def test_images_that_a_run_left_out_are_said_to_count_as_members(tmp_path):
    """They were not learned from, so that less is recognised than leaks."""
    knobs = {"data.holdout": 0.2, "data.images": 0}
    record = {"schema": SCHEMA, "config": knobs, "seconds": {}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    (note,) = _left_out(tmp_path)
    assert note.startswith("the run had data.holdout = 0.2: members that it left out count")
    assert _left_out(tmp_path / "bank.safetensors") == []
