"""Every release, found by its file name, keeps the form of an upload and leaves a receipt."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from fedad.config import Config, read
from fedad.dp.noise import OsNoise
from fedad.plugins import names, plugin
from fedad.privacy.base import Receipt, Unprotected
from fedad.round import fit
from tests.contracts.drawn_sites import config_of, embed, site

PLANT = site("lyon")


@pytest.fixture(params=names("privacy"))
def name(request):
    return request.param


def test_what_is_released_is_of_the_same_kind_and_has_a_receipt(name):
    config = config_of("patchcore")
    upload = fit(config, PLANT, embed).upload
    release = plugin("privacy", name)
    released, receipt = release(upload, embed(PLANT.train), noise=OsNoise())
    assert type(released) is type(upload)
    assert type(released).unpack(*released.pack()).sites == upload.sites
    assert isinstance(receipt, Receipt)
    assert receipt.release == name
    assert json.loads(json.dumps(asdict(receipt))) == asdict(receipt)
    assert receipt.images == {"bolt": 4, "hose": 4}


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
