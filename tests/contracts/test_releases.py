"""Every release, found by its file name, keeps the form of an upload and leaves a receipt."""

import json

import numpy as np
import pytest

from fedad.config import Config, read
from fedad.dp import public
from fedad.dp.make_public import make_public
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.dp.public import save
from fedad.dp.receipts import as_json, receipt_from
from fedad.errors import ConfigError
from fedad.plugins import names, plugin, states
from fedad.privacy.base import Gaussians, Receipt, Unprotected
from fedad.round import fit
from tests.contracts.drawn_sites import MARK_16, config_of, embed, site

PLANT = site("lyon")
TRAINED = [name for name in names("privacy") if states("privacy", name, "WHILE_TRAINING = True")]


@pytest.fixture(params=sorted({*names("privacy")} - {*TRAINED}))
def name(request):
    return request.param


@pytest.fixture(autouse=True)
def _public_projection(tmp_path, monkeypatch):
    """One of the drawn features, whose embedding no shipped one is for."""
    patches = np.concatenate([embed(site(f"public-{k}").train).patches for k in range(4)])
    save(tmp_path / "drawn.json", make_public(patches, MARK_16, source="drawn"))
    monkeypatch.setattr(public, "FOLDER", tmp_path)


def released(name, plant=PLANT, noise=None):
    upload = fit(config_of("patchcore"), plant, embed).upload
    release = read({"privacy.release": name}).configured("privacy.release")
    return upload, *release(upload, embed(plant.train), noise=noise or OsNoise())


def test_what_is_released_is_of_the_same_kind_and_has_a_receipt(name):
    upload, found, receipt = released(name)
    assert type(found) is type(upload)
    assert type(found).unpack(*found.pack()).sites == upload.sites
    assert found.categories == upload.categories
    assert isinstance(receipt, Receipt)
    assert receipt.release == name
    assert receipt_from(json.loads(json.dumps(as_json(receipt)))) == receipt
    assert receipt.images == {"bolt": 4, "hose": 4}


def test_what_is_released_can_be_sealed_and_ranks_each_row_once(name):
    _, found, _ = released(name)
    sealed = found.sealed("lyon", found.dtype)
    assert sorted(sealed.row) == list(range(len(found)))
    assert not len(sealed.source)


def test_noise_is_drawn_anew_each_time_unless_nothing_is_changed(name):
    (upload, one, receipt), (_, other, _) = released(name), released(name)
    assert np.array_equal(one.rows, other.rows) == (one is upload)
    assert getattr(receipt, "private", True)


def test_with_seeded_noise_no_receipt_says_that_anything_is_private(name):
    _, _, receipt = released(name, noise=SeededNoise(3))
    assert isinstance(receipt, Unprotected) or not receipt.private


def test_of_what_is_private_neither_size_nor_counts_tell_how_many_images_there_were(name):
    if not states("privacy", name, "PRIVATE = True"):
        pytest.skip(f"{name} protects nothing, and says so")
    sizes = set()
    for count in (1, 4, 9):
        _, found, receipt = released(name, site("lyon", count=count))
        tensors, header = found.pack()
        sizes.add(sum(tensor.nbytes for tensor in tensors.values()) + len(str(header)))
        assert (found.images == 1).all()
        assert isinstance(receipt, Gaussians)
        assert receipt.images == {"bolt": count, "hose": count}
    assert len(sizes) == 1


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_taken_while_training_is_not_given_to_what_was_trained(name):
    with pytest.raises(ConfigError, match=f"privacy.release = '{name}'"):
        released(name)


def test_keep_changes_nothing_and_says_that_it_protects_nothing():
    upload = fit(config_of("patchcore"), PLANT, embed).upload
    kept, receipt = plugin("privacy", "keep")(upload, embed(PLANT.train), noise=OsNoise())
    assert kept is upload
    assert isinstance(receipt, Unprotected)


def test_what_stays_at_the_site_is_not_released(monkeypatch):
    """The release sees what would be sent; the site's own stays as it was."""
    config = config_of("patchcore")
    plain, given, configured = fit(config, PLANT, embed), [], Config.configured

    def noisy(upload, features, *, noise):
        given.append(upload)
        rows = upload.rows + noise.normal(upload.rows.shape).astype(np.float32)
        return upload.replace(rows=rows), Receipt("noisy", {})

    def chosen(self, key):
        return noisy if key == "privacy.release" else configured(self, key)

    monkeypatch.setattr(Config, "configured", chosen)
    one, other = (fit(config, PLANT, embed) for _ in range(2))
    assert all(len(upload.source) == 0 for upload in given)
    for local in (one, other):
        np.testing.assert_array_equal(local.own.rows, plain.own.rows)
        np.testing.assert_array_equal(local.own.source, plain.own.source)
        assert local.receipt.release == "noisy"
    assert not np.array_equal(one.upload.rows, other.upload.rows)  # its noise is never seeded


def test_an_unknown_release_is_refused_naming_those_there_are():
    with pytest.raises(ValueError, match=r"privacy\.release = 'kept' .did you mean 'keep'"):
        read({"privacy.release": "kept"})
