"""After a run each virtual site has the model, and inspects by it as it judged."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.supercore.task_identity import TaskIdentity

from fedad.config import read
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.inspection.opened import open_inspector
from fedad.messages.file import checksum, load, save
from fedad.methods.base import method_of
from fedad.models.after_run import keep_of_run
from fedad.models.forgetting import FORMAT, signer_at
from fedad.models.kept import Kept
from fedad.models.signature import verify
from fedad.models.store import current
from fedad.plumbing.journal import events_of
from fedad.plumbing.progress import Bars
from fedad.round import learn, merge
from fedad.running.launch import launch, sites_of
from tests.conftest import SITES


@pytest.fixture(scope="module")
def run(knobs, tmp_path_factory):
    """A finished run; two good parts a site and product promise .4."""
    config = read({**knobs, "score.false-rejects": 0.4, "score.replicates": 2})
    with pytest.MonkeyPatch.context() as patched:
        for part in ("run_id", "node_id", "task_id"):
            patched.setattr(TaskIdentity, f"_{part}", 1)
        root = tmp_path_factory.mktemp("runs")
        return launch(config, via="local", root=root, with_yardsticks=False, sink=Bars())


def test_each_site_of_a_run_judges_on_as_it_did_in_it(run, plants):
    """The site's own rows measure those of the others."""
    folder = run
    added = dict(keep_of_run(folder))
    assert tuple(sorted(added)) == SITES
    home = folder / "sites" / "lyon"
    kept = Kept(home / "models" / added["lyon"].name)
    assert kept.passport()["source"] == f"run {folder.name}"
    assert kept.passport()["sites"] == list(SITES)
    assert {one.use for one in kept.images()[1]} == {"train", "test"}
    if current(home / "models") is None:  # of two parts chance says little, but may say that
        pytest.skip("this small network keeps no promise")
    inspector = open_inspector(home)
    rows = list(csv.DictReader((home / "scores.csv").read_text().splitlines()))
    assert rows
    for row in rows:
        product, _, defect, stem = row["image"].split("/")
        path = plants / product / "test" / defect / f"{stem}.png"
        one = inspector.inspect(path, product)
        assert one.score == pytest.approx(float(row["score"]), rel=1e-5)
        assert one.nearest.site in SITES
    checked = {one.name: one for one in kept.checked() if not one.rests}
    assert {row["image"] for row in rows} == {*checked}


def test_a_bank_without_a_site_is_the_merge_of_the_others(run, tmp_path, fedad):
    config = read({**events_of(run)[0]["config"], "round.resume": False})
    kind = method_of(config).rounds[-1].upload
    others = [load(run / f"uploads/{site}.safetensors", kind) for site in ("graz", "turin")]
    save(tmp_path / "others", merge(config, others), private=False, method="patchcore")
    words = ("model", "forget", run, "--site", "lyon", "--out", tmp_path / "without")
    code, err, out = fedad(*words)
    assert code == 0, err
    assert "of graz, turin, without lyon" in out
    assert checksum(tmp_path / "without") == checksum(tmp_path / "others")  # of all its bytes
    assert load(tmp_path / "without", kind).sites == ("graz", "turin")


def test_what_is_forgotten_is_stated_and_signed(run, tmp_path, fedad):
    keys = tmp_path / "keys"
    keys.mkdir()
    key = ec.generate_private_key(ec.SECP384R1())
    forms = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    with pytest.raises(DataError, match=r"node\.key: expected a site's private key"):
        signer_at(keys)
    (keys / "superlink.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *forms))
    out = tmp_path / "without"
    code, err, said = fedad("model", "forget", run, "--site", "lyon", "--out", out, "--keys", keys)
    assert code == 0, err
    assert "signed by server" in said
    text = (tmp_path / "without.forgotten.json").read_text()
    told = json.loads(text)
    assert told["forgotten"] == {"site": "lyon"}
    assert told["bank"] == checksum(out)
    assert {*told["uploads"]} == {"graz", "turin"}
    signature = (tmp_path / "without.forgotten.signature.json").read_bytes()
    assert verify(f"{FORMAT}\n{text}".encode(), signature).site == "server"
    with pytest.raises(ValueError, match="not of this content"):
        verify(f"{FORMAT}\n{text.replace('lyon', 'graz')}".encode(), signature)
    assert "not signed" in fedad("model", "forget", run, "--site", "lyon", "--out", out)[2]
    assert not (tmp_path / "without.forgotten.signature.json").exists()


def test_a_bank_without_an_image_is_that_of_a_run_without_it(run, plants, tmp_path, fedad):
    """Its site learns again; by hand, the file that the site then carries is as good."""
    image = plants / "bolt" / "train" / "good" / "0010.png"  # lyon's
    code, err, out = fedad("model", "forget", run, "--image", image, "--out", tmp_path / "without")
    assert code == 0, err
    assert "without 0010.png" in out
    config = read({**events_of(run)[0]["config"], "round.resume": False})
    embed = Embedder(config.embedder)
    less = [
        replace(site, train=tuple(one for one in site.train if one.path != image))
        for site in sites_of(config)
    ]
    learned = learn(config, less, embed)
    save(tmp_path / "expected", learned.model, private=False, method="patchcore")
    assert checksum(tmp_path / "without") == checksum(tmp_path / "expected")
    save(tmp_path / "lyon", learned.local["lyon"].upload, private=False, method="patchcore")
    words = ("model", "forget", run, "--site", "lyon", "--out", tmp_path / "refitted")
    assert fedad(*words, "--refit", tmp_path / "lyon")[0] == 0
    assert checksum(tmp_path / "refitted") == checksum(tmp_path / "expected")
    for file in (run / "uploads" / "lyon.safetensors", run / "uploads" / "graz.safetensors"):
        code, err, _ = fedad(*words, "--refit", file)
        assert code == 3
        assert "expected" in err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "expected --site NAME or --image FILE"),
        (("--image", "nowhere.png"), 3, "there is no such file"),
        (("--image", "x", "--refit", "x"), 2, "--refit: expected --site"),
    ],
)
def test_what_cannot_be_forgotten_is_one_line(run, words, code, told, fedad):
    found, err, _ = fedad("model", "forget", run, *words, "--out", "x")
    assert found == code
    assert told in err
    assert err.count("\n") == 1


def test_images_of_a_deployed_run_are_not_at_the_server(run, plants, tmp_path, fedad):
    there = shutil.copytree(run, tmp_path / "run", symlinks=True)
    shutil.rmtree(there / "sites")
    image = plants / "bolt" / "train" / "good" / "0010.png"
    code, err, _ = fedad("model", "forget", there, "--image", image, "--out", tmp_path / "x")
    assert code == 3
    assert "--site and --refit" in err


def test_what_was_not_kept_cannot_be_forgotten(run, tmp_path, fedad):
    for site, told in (("oslo", "gave nothing to its bank"), ("lyon", "was not kept")):
        there = shutil.copytree(run, tmp_path / site, symlinks=True)
        (there / "uploads" / "graz.safetensors").unlink()
        code, err, _ = fedad("model", "forget", there, "--site", site, "--out", tmp_path / "x")
        assert code == 3
        assert told in err
