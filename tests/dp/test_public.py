"""The public numbers of an embedding: files, digests, and the same bytes for the same patch."""

import base64
import json
from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest
from flwr.cli.build import build_fab_from_files

from fedad.dp import public as module
from fedad.dp.public import FOLDER, load, public_of, save
from fedad.errors import ConfigError, DataError, MismatchError
from fedad.running.flower import assemble
from tests.conftest import MARK
from tests.dp.public_numbers import patches, public_numbers

PUBLIC = public_numbers()


def test_a_patch_is_projected_to_the_same_bytes_beside_any_others():
    features = patches(3000, seed=7)
    whole = PUBLIC.project(features)
    for size in (1, 3, 64, 1000):
        parts = [PUBLIC.project(features[at : at + size]) for at in range(0, 3000, size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    order = np.random.default_rng(0).permutation(3000)
    assert PUBLIC.project(features[order]).tobytes() == whole[order].tobytes()


def test_it_is_the_projection_on_the_axes():
    features = patches(100, seed=3)
    plain = (features.astype(float) - PUBLIC.mean) @ PUBLIC.axes
    np.testing.assert_allclose(PUBLIC.project(features), plain, atol=1e-3)
    gram = PUBLIC.axes.T.astype(float) @ PUBLIC.axes
    np.testing.assert_allclose(gram, np.eye(PUBLIC.size), atol=1e-5)


def test_its_arithmetic_is_that_of_whole_numbers():
    features = patches(20, seed=5)
    steps = np.rint((features.astype(float) - PUBLIC.mean) / PUBLIC.step)
    axes = PUBLIC.axes.astype(float) * module.AXIS_STEPS
    for point, found in zip(steps.tolist(), PUBLIC.project(features), strict=True):
        for axis, value in zip(axes.T.tolist(), found, strict=True):
            whole = sum(int(p) * int(a) for p, a in zip(point, axis, strict=True))
            assert value == np.float32(whole * (PUBLIC.step / module.AXIS_STEPS))


def test_sums_of_whole_steps_stay_exact_for_the_farthest_features():
    """All products and sums are below 2^53: the order in which they are added changes nothing."""
    far = np.full((2, 12), 1e30, np.float32) * np.array([[1], [-1]], np.float32)
    steps = np.abs(far / PUBLIC.step).clip(max=module.STEPS)
    bound = np.abs(steps).sum(1).max() * np.abs(PUBLIC.axes * module.AXIS_STEPS).max()
    assert bound < 2**53
    assert np.isfinite(PUBLIC.project(far)).all()
    axes = PUBLIC.axes.astype(float) * module.AXIS_STEPS
    np.testing.assert_array_equal(axes, np.rint(axes))


def test_what_is_not_finite_stays_so_and_spoils_no_other_patch():
    features = patches(5, seed=2)
    broken = features.copy()
    broken[1, 3], broken[3, 0] = np.nan, np.inf
    found, plain = PUBLIC.project(broken), PUBLIC.project(features)
    assert np.isnan(found[[1, 3]]).all()
    np.testing.assert_array_equal(found[[0, 2, 4]], plain[[0, 2, 4]])
    assert PUBLIC.project(features[:0]).shape == (0, PUBLIC.size)


def test_features_of_another_length_are_refused():
    with pytest.raises(MismatchError, match="another backbone"):
        PUBLIC.project(np.zeros((3, 7), np.float32))


def test_a_file_gives_back_what_was_written(tmp_path):
    save(tmp_path / "a.json", PUBLIC)
    again = load(tmp_path / "a.json")
    assert again.digest == PUBLIC.digest
    assert again.embedding == PUBLIC.embedding
    assert again.project(patches(9)).tobytes() == PUBLIC.project(patches(9)).tobytes()


@pytest.mark.parametrize("name", ["mean", "radius", "longest", "step", "embedding", "source"])
def test_a_changed_file_is_refused(tmp_path, name):
    save(tmp_path / "a.json", PUBLIC)
    told = json.loads((tmp_path / "a.json").read_text())
    if name == "mean":
        told[name] = base64.b64encode((PUBLIC.mean + 1).tobytes()).decode()
    elif name == "embedding":
        told[name]["pool"] += 2
    else:
        told[name] = told[name] + told[name]
    (tmp_path / "a.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"a\.json: its checksum"):
        load(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "mean": 3}'])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json: not a whole public projection"):
        load(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"b\.json: not a whole"):
        load(tmp_path / "b.json")


def test_it_is_found_by_what_a_feature_means_and_not_by_the_size_of_images(tmp_path, monkeypatch):
    save(tmp_path / "a.json", PUBLIC)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    same = replace(MARK, size="320x256", patches=80, threads=3, batch=2)
    assert public_of(same).digest == PUBLIC.digest
    for other in ({"weights": "1" * 64}, {"pool": 5}, {"layers": "layer1"}, {"precision": "bf16"}):
        with pytest.raises(ConfigError, match=r"benchmarks/public_projection\.py") as raised:
            public_of(replace(MARK, **other))
        assert "\n" not in str(raised.value)


def test_what_is_shipped_is_whole_small_and_of_its_own_name():
    files = sorted(FOLDER.glob("*.json"))
    assert files
    for file in files:
        public = load(file)
        assert file.stat().st_size <= 120_000
        assert public.embedding["backbone"] == file.stem
        assert public.axes.shape == (152, 64)
        assert public.centres.shape == (128, 64)
        assert (np.linalg.norm(public.centres, axis=1) <= public.longest).all()


def test_another_mean_is_another_digest():
    other = replace(PUBLIC, mean=PUBLIC.mean + np.float32(0.5))
    assert other.digest != PUBLIC.digest


def test_numbers_that_cannot_be_are_refused():
    for wrong in ({"radius": 0.0}, {"longest": float("nan")}, {"mean": PUBLIC.mean[:-1]}):
        with pytest.raises(ValueError, match=r"finite|belong together"):
            replace(PUBLIC, **wrong)


@pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")
def test_what_is_shipped_travels_with_the_app(tmp_path):
    """Flower packs no file of a kind that it does not know, whatever pyproject.toml says."""
    app = assemble(tmp_path / "app")
    files = {p.relative_to(app).as_posix(): p for p in app.rglob("*") if p.is_file()}
    packed, _ = build_fab_from_files(files)
    (tmp_path / "app.fab").write_bytes(packed)
    with ZipFile(tmp_path / "app.fab") as fab:
        for file in FOLDER.glob("*.json"):
            assert fab.read(f"fedad/dp/public/{file.name}") == file.read_bytes()


def test_the_same_patches_give_the_same_numbers():
    assert public_numbers().digest == PUBLIC.digest
    assert PUBLIC.size == 12
    assert len(PUBLIC.centres) == 128
    points = PUBLIC.project(patches(2000))
    far = np.linalg.norm(points[:, None] - PUBLIC.centres, axis=2).min(1)
    assert np.mean(far <= PUBLIC.radius) == pytest.approx(0.75, abs=0.01)
    assert PUBLIC.longest >= np.linalg.norm(points, axis=1).max()
