"""A model as one file: what is in it, who signed it, and what is refused when one is brought."""

import io
import json
import shutil
import zipfile
from dataclasses import replace

import pytest

from fedad.config import read
from fedad.deploy.certificates import make_keys
from fedad.errors import DataError
from fedad.messages.file import LISTING, checksum, load_tensors, save_tensors
from fedad.models import archive
from fedad.models.archive import ABOUT, MANIFEST, MODEL, read_archive, write_archive
from fedad.models.by_hand import build_and_keep
from fedad.models.gate import Gate
from fedad.models.importing import bring
from fedad.models.kept import Kept, kept_named
from fedad.models.signature import SIGNATURE, Signer
from fedad.models.store import MODELS, current
from tests.conftest import draw_category

LENIENT = Gate(false_rejects=1.0, lost_defects=1.0)


@pytest.fixture(scope="module")
def settings(knobs):
    return read({**knobs, "data.dataset": "auto", "score.false-rejects": 0.2})


@pytest.fixture(scope="module")
def models(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lyon") / MODELS
    build_and_keep(settings, "lyon", None, folder, LENIENT)
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    make_keys(folder, hosts=("localhost",), sites=["lyon", "graz"], days=30)
    return folder


@pytest.fixture(scope="module")
def whole(models, keys, tmp_path_factory):
    """A signed model, as one file's bytes."""
    out = tmp_path_factory.mktemp("out") / "model.fedad"
    write_archive(kept_named(models), out, Signer.at(keys / "lyon"))
    return out.read_bytes()


def test_what_leaves_is_the_model_and_what_it_was_made_from_and_nothing_of_the_sites(models, whole):
    kept = kept_named(models)
    own = {path.name for path in kept.folder.iterdir()}
    assert {"own.safetensors", "thresholds.json", "checked.json", "images.json"} <= own
    with zipfile.ZipFile(io.BytesIO(whole)) as made:
        assert {one.filename for one in made.infolist()} == {MANIFEST, SIGNATURE, ABOUT, MODEL}
        assert {one.compress_type for one in made.infolist()} == {zipfile.ZIP_STORED}
        about = json.loads(made.read(ABOUT))
    assert about["products"] == ["bolt", "hose"]
    _, images = kept.images()
    for image in images:
        assert image.name.encode() not in whole
        assert str(image.path).encode() not in whole
    assert not {"figures", "config", "receipt"} & {*about}


def test_the_same_model_is_the_same_file(models, tmp_path):
    for name in ("one", "two"):
        write_archive(kept_named(models), tmp_path / name, None)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(DataError, match="is there already"):
        write_archive(kept_named(models), tmp_path / "one", None)


def test_a_model_comes_back_as_it_was_and_says_who_signed_it(models, whole, keys, tmp_path):
    (tmp_path / "brought.fedad").write_bytes(whole)
    brought = read_archive(tmp_path / "brought.fedad", tmp_path / "scratch")
    assert brought.signed.site == "lyon"
    assert brought.file.read_bytes() == kept_named(models).model_file.read_bytes()
    there = shutil.copytree(models, tmp_path / MODELS, symlinks=True)
    signer = keys / "server" / "sites" / "lyon.pub"
    added, told = bring({}, tmp_path / "brought.fedad", there, LENIENT, signer=signer)
    assert added.is_current
    assert told == f"signed by lyon, {brought.signed.mark}"
    now = Kept(there / current(there))
    assert checksum(now.model_file) == checksum(kept_named(models).model_file)


def test_a_site_without_a_model_takes_one_with_images_of_good_parts(
    whole, keys, settings, fedad, tmp_path
):
    for product in ("bolt", "hose"):
        draw_category(tmp_path / "new" / product, f"{product} of another day")
    (tmp_path / "brought.fedad").write_bytes(whole)
    knobs = [f"-c{key}={value}" for key, value in settings.flat().items() if key in TOLD]
    words = ("model", "import", "brought.fedad", "--models", "there", *knobs)
    code, said, _ = fedad(*words)
    assert code == 3
    assert "nothing says where its thresholds come from" in said
    code, said, out = fedad(*words, "--good", "new")
    assert code == 0, said
    assert "which nothing here vouches for: --signer KEY does" in out
    assert "judges from now on" in out
    code, said, _ = fedad(*words, "--good", "new", "--signer", keys / "graz" / "node.pub")
    assert code == 3
    assert "it is signed by 'lyon', SHA256:" in said


TOLD = ("embedder.weights", "embedder.threads", "score.false-rejects")


def test_export_says_what_it_wrote(models, keys, fedad, tmp_path):
    words = ("model", "export", "current", "m.fedad", "--models", models)
    code, _, said = fedad(*words, "--keys", keys / "lyon", "--json")
    assert code == 0
    told = json.loads(said)
    assert told["signed"] == "lyon"
    assert told["sha256"] == checksum(kept_named(models).model_file)
    assert (tmp_path / "m.fedad").stat().st_mode & 0o777 == 0o600
    code, _, said = fedad(*words[:3], "n.fedad", *words[4:])
    assert "not signed: --keys names" in said


def test_what_stays_in_a_models_file_is_not_exported(models, tmp_path):
    there = shutil.copytree(models, tmp_path / MODELS, symlinks=True)
    kept = kept_named(there)
    tensors, header = load_tensors(kept.model_file)
    save_tensors(kept.model_file, tensors, {**header, LISTING: "a" * 64})
    with pytest.raises(DataError, match="listing, which never leaves a site"):
        write_archive(kept, tmp_path / "m.fedad", None)
    save_tensors(kept.model_file, {**tensors, "source": tensors["row"]}, header)
    with pytest.raises(DataError, match=r"source|not a whole"):
        write_archive(kept, tmp_path / "m.fedad", None)
    assert not (tmp_path / "m.fedad").exists()


def entries(whole):
    with zipfile.ZipFile(io.BytesIO(whole)) as made:
        return {one.filename: made.read(one) for one in made.infolist()}


def packed(files, how=zipfile.ZIP_STORED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as out:
        for name, text in files if isinstance(files, list) else files.items():
            out.writestr(name, text)
    return made.getvalue()


def told_otherwise(files, /, **changes):
    return {**files, MANIFEST: json.dumps({**json.loads(files[MANIFEST]), **changes}).encode()}


def own_signature(files, /, **changes):
    told = {**json.loads(files[SIGNATURE]), **changes}
    return {**files, SIGNATURE: json.dumps(told).encode()}


HOSTILE = {
    "cut short": lambda f: packed(f)[:-200],
    "no archive": lambda f: b"nothing",
    "compressed": lambda f: packed(f, zipfile.ZIP_DEFLATED),
    "another name": lambda f: packed({**f, "../../evil.py": b"x"}),
    "an own file": lambda f: packed({**f, "own.safetensors": b"x"}),
    "a name twice": lambda f: packed([*f.items(), (ABOUT, b"{}")]),
    "no model": lambda f: packed({k: v for k, v in f.items() if k != MODEL}),
    "no manifest": lambda f: packed({k: v for k, v in f.items() if k != MANIFEST}),
    "another model": lambda f: packed({**f, MODEL: f[MODEL][:-1] + b"!"}),
    "a longer model": lambda f: packed({**f, MODEL: f[MODEL] + b"!"}),
    "another about": lambda f: packed({**f, ABOUT: f[ABOUT].replace(b"bolt", b"nuts")}),
    "a huge about": lambda f: packed({**f, ABOUT: b" " * (2**20 + 1)}),
    "another format": lambda f: packed(told_otherwise(f, format=2)),
    "a manifest of no files": lambda f: packed(told_otherwise(f, files={})),
    "a deep manifest": lambda f: packed({**f, MANIFEST: b"[" * 5000}),
    "a signature of another": lambda f: packed(own_signature(f, signature="AAAA")),
    "a signature of no key": lambda f: packed(own_signature(f, key="ssh-ed25519 AAAA")),
    "a signature of no site": lambda f: packed(own_signature(f, site="a\n,b=")),
    "a signature that is none": lambda f: packed({**f, SIGNATURE: b"[]"}),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("how", HOSTILE)
def test_what_is_not_as_it_was_written_is_refused_and_leaves_nothing(how, whole, tmp_path):
    file, scratch = tmp_path / "m.fedad", tmp_path / "scratch"
    file.write_bytes(packed(entries(whole)))
    read_archive(file, tmp_path / "sound")
    file.write_bytes(HOSTILE[how](entries(whole)))
    with pytest.raises(DataError, match="not a model as fedad model export writes it") as told:
        read_archive(file, scratch)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "evil.py").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"m.fedad", "scratch", "sound"}


def test_no_size_is_believed_that_the_file_has_not(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 100)
    (tmp_path / "m.fedad").write_bytes(whole)
    with pytest.raises(DataError, match=r"model\.safetensors has [\d,]+ bytes"):
        read_archive(tmp_path / "m.fedad", tmp_path / "scratch")


def test_a_key_that_cannot_sign_is_said(keys, tmp_path):
    with pytest.raises(DataError, match=r"node\.key: expected a site's private key"):
        Signer.at(tmp_path)
    signer = Signer.at(keys / "graz")
    assert replace(signer, site="x").sign(b"text") != signer.sign(b"text")
