"""Images that cannot be embedded, and products of which nothing is looked at, under privacy: they
add nothing, and nobody hears of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedad.banks.bank import Bank
from fedad.config import read
from fedad.dp import public as public_module
from fedad.dp.levels import LEVELS
from fedad.dp.make_public import make_public
from fedad.dp.public import save
from fedad.dp.released import ROWS
from fedad.dp.tree import cut, sums
from fedad.dp.unusable import lenient_features, with_stand_ins
from fedad.embedders.embedder import Embedder
from fedad.errors import DataError
from fedad.privacy.dp_tree import units_of
from fedad.round import fit
from fedad.running.launch import sites_of


@pytest.fixture(scope="module")
def world(knobs, tmp_path_factory):
    """Private knobs, a site of two products, and a network that can be told to fail."""
    settings = {**knobs, "embedder.size": 128, "privacy.release": "dp_tree", "dp_tree.stride": 1}
    config, patch = read(settings), pytest.MonkeyPatch()
    site = sites_of(config)[0]
    embed = Embedder(config.embedder)
    found = embed(site.train)
    folder = tmp_path_factory.mktemp("public")
    points = found.grid.reshape(-1, found.shape[-1])
    off = np.random.default_rng(0).normal(0, 0.01, points.shape)  # no channel is the same in all
    points = (points + off).astype(np.float32)
    public = make_public(points, found.fingerprint, source="for tests")
    save(folder / "small.json", public)
    patch.setattr(public_module, "FOLDER", folder)
    yield settings, site, embed, public
    patch.undo()


class Failing:
    """A network that finds nothing finite in some images, as `Embedder` says it."""

    def __init__(self, embed, names):
        self.embed, self.names = embed, {*names}

    def __getattr__(self, name):
        return getattr(self.embed, name)

    def __call__(self, samples):
        if bad := [sample for sample in samples if sample.name in self.names]:
            raise DataError(f"{bad[0].path}: its features are not finite")
        return self.embed(samples)


def names_of(site, product=""):
    return [s.name for s in site.train if product in ("", s.category)]


@pytest.mark.parametrize("which", ["an image", "a product", "all"])
def test_an_upload_has_the_public_form_whatever_cannot_be_embedded(world, which, caplog):
    settings, site, embed, _ = world
    lost = {"an image": names_of(site)[:1], "a product": names_of(site, "bolt")}
    local = fit(read(settings), site, Failing(embed, lost.get(which, names_of(site))))
    usual = fit(read(settings), site, embed)
    for one in (local.upload, usual.upload):
        assert isinstance(one, Bank)
        assert one.rows.shape == (2 * ROWS, usual.upload.rows.shape[1])
        assert one.categories == ("bolt", "hose")
        assert (one.images == 1).all()
        assert np.isfinite(one.rows).all()
    assert {*local.receipt.images} == {"bolt", "hose"}  # of which both are debited
    assert set(local.own.category) == {0, 1}  # it has something of each to score by
    assert "its features are not finite" in caplog.text


def test_without_privacy_it_ends_the_training_and_names_the_image(world):
    settings, site, embed, _ = world
    with pytest.raises(DataError, match="not finite"):
        fit(
            read({**settings, "privacy.release": "keep", "dp_tree.stride": 2}),
            site,
            Failing(embed, names_of(site)[:1]),
        )


def test_what_such_an_image_adds_to_the_sums_is_zero(world):
    """They are those of the other images, whole number by whole number."""
    settings, site, embed, public = world
    gone = names_of(site, "bolt")[0]
    found = lenient_features(read(settings), Failing(embed, [gone]), site.train)
    rest = embed([sample for sample in site.train if sample.name != gone])
    level = LEVELS["positions"][0]
    told = []
    for features in (found, rest):
        shown = tuple(map(str, range(len(features.images))))
        units = units_of(features, "bolt", public, shown, 1)
        told.append(sums(units, *cut(level, public.centres), public.radius))
    assert len(units_of(found, "bolt", public, found.images, 1)) == len(names_of(site, "bolt"))
    for one, other in zip(*told, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_stand_in_is_no_part_of_the_release(world):
    settings, site, embed, public = world
    found = lenient_features(read(settings), Failing(embed, names_of(site, "bolt")), site.train)
    stood = with_stand_ins(found)
    bolts = [k for k, name in enumerate(found.categories) if name == "bolt"]
    assert stood.valid[bolts].sum() == 1
    assert not found.valid[bolts].any()
    units = units_of(found, "bolt", public, found.images, 1)
    assert not any(len(unit.points) for unit in units)
    hoses = [k for k, name in enumerate(found.categories) if name == "hose"]
    np.testing.assert_array_equal(stood.valid[hoses], found.valid[hoses])


def test_values_that_are_not_finite_are_found_where_nobody_raised(world):
    """As of a cache that was written by something else."""
    settings, site, embed, _ = world

    def spoiled(samples):
        found = embed(samples)
        grid = found.grid.copy()
        grid[[k for k, name in enumerate(found.images) if name == names_of(site)[0]], 0, 0, 0] = (
            np.nan
        )
        return replace(found, grid=grid)

    found = lenient_features(read(settings), spoiled, site.train)
    assert [bool(one.any()) for one in found.valid] == [False] + [True] * (len(site.train) - 1)
    assert np.isfinite(found.grid).all()


def test_a_region_of_interest_that_shows_nothing_ends_no_private_training(world, tmp_path):
    settings, site, embed, _ = world
    mask = tmp_path / "nothing.png"
    Image.fromarray(np.zeros((60, 72), np.uint8)).save(mask)
    hidden = tuple(replace(s, roi=mask) if s.category == "bolt" else s for s in site.train)
    blind = replace(site, train=hidden)
    upload = fit(read(settings), blind, embed).upload
    assert upload.rows.shape[0] == 2 * ROWS
    with pytest.raises(DataError, match="region of interest"):
        fit(read({**settings, "privacy.release": "keep", "dp_tree.stride": 2}), blind, embed)


def test_a_head_is_trained_within_its_budget_on_what_is_left(world):
    settings, site, embed, _ = world
    pytest.importorskip("opacus")
    knobs = {key: value for key, value in settings.items() if not key.startswith("dp_tree")}
    knobs |= {
        "privacy.release": "dp_sgd",
        "round.method": "discriminator",
        "discriminator.rounds": 1,
        "discriminator.epochs": 1,
        "discriminator.hidden": 4,
        "dp_sgd.images": 2,
        "dp_sgd.batch": 1,
    }
    for lost in (names_of(site)[:1], names_of(site, "bolt"), names_of(site)):
        upload = fit(read(knobs), site, Failing(embed, lost)).upload
        assert upload.categories == ("bolt", "hose")
        assert np.isfinite(upload.out).all()
