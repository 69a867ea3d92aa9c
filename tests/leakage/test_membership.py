"""Attacks on banks of features that are drawn here, without an image."""

from dataclasses import replace

import numpy as np
import pytest

from fedad.config import read
from fedad.dp import projected
from fedad.dp.public import AXIS_STEPS, Public, meaning
from fedad.errors import DataError
from fedad.leakage.copies import copies
from fedad.leakage.gaps import STATISTICS, alike, joined, look, target_of
from fedad.leakage.membership import MEASURABLE, membership, recognised
from fedad.round import fit
from fedad.types import Site
from tests.conftest import bank_of
from tests.contracts.drawn_sites import MARK_16, D, config_of, embed, site

MANY = MEASURABLE


def attack(bank, members, others, product="bolt"):
    target = target_of(bank, product)
    looks = [
        joined([look(target, [grid.reshape(-1, grid.shape[-1])]) for grid in embed(some).grid])
        for some in (members, others)
    ]
    told = membership(STATISTICS, *(one.statistics for one in looks))
    return told, copies(target.rows, looks[0])


@pytest.fixture(scope="module")
def images():
    """Twice as many good images of one product as are learned from."""
    train = site("lyon", count=2 * MANY, categories=("bolt",)).train
    return train[:MANY], train[MANY:]


def upload(members, dtype, ratio=0.6):
    config = config_of("patchcore", preset="classic")
    config = read({**config.flat(), "wire.dtype": dtype, "coreset.local-ratio": ratio})
    return fit(config, Site("lyon", tuple(members), ()), embed).upload


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_plain_upload_gives_every_image_away(images, dtype):
    members, others = images
    bank = upload(members, dtype)
    told, made = attack(bank, members, others)
    best = told.best
    assert best.auc == 1
    assert best.high == 1
    assert best.low > 0.96
    assert (best.found.cases, best.found.of) == (MANY, MANY)
    assert best.alarms.cases <= 0.01 * MANY
    assert (made.verbatim, made.rows) == (len(bank), len(bank))
    assert made.told <= made.images == MANY
    assert made.mean == pytest.approx(len(bank) / MANY)


def test_rows_an_image_are_those_that_the_site_knows_of(images):
    members, others = images
    config = read({**config_of("patchcore").flat(), "coreset.local-ratio": 0.25})
    local = fit(config, Site("lyon", members, ()), embed)
    counts = np.bincount(local.own.image, minlength=MANY)
    _, made = attack(local.upload, members, others)
    assert (made.most, made.told) == (counts.max(), np.count_nonzero(counts))


def test_a_bank_of_other_images_gives_nothing_away(images):
    members, others = images
    strangers = site("graz", count=MANY, categories=("bolt",)).train
    told, made = attack(upload(strangers, "float32"), members, others)
    assert all(by.low < 0.5 < by.high for by in told.by)
    assert all(by.found.low <= 0.05 for by in told.by)
    assert (made.verbatim, made.told, made.most) == (0, 0, 0)


def test_means_without_noise_give_images_away_though_no_row_is_verbatim(images):
    """Averaging is not privacy."""
    members, others = images
    grids = embed(members[:8]).grid
    means = np.stack([grid.reshape(-1, grid.shape[-1]).mean(0) for grid in grids])
    near = grids.reshape(-1, grids.shape[-1]) * 0.999 + 0.001 * means.mean(0)
    told, made = attack(bank_of(near), members[:8], others)
    assert told.best.auc == 1
    assert told.best.found is None
    assert made.verbatim == 0


def test_too_few_images_for_a_share_have_an_interval_and_fewer_have_none():
    rng = np.random.default_rng(0)
    members, others = rng.normal(size=(2, MANY, 1))
    (few,) = membership(("least",), members[:-1], others).by
    assert few.found is few.alarms is None
    assert few.low < few.auc < few.high
    (fewer,) = membership(("least",), members[:4], others[:4]).by
    assert fewer.reason == "under 5 images"
    assert np.isnan(fewer.low)
    assert membership(("least",), members, others).by[0].found is not None


def test_the_limit_never_lets_in_more_than_one_in_a_hundred_others():
    others = np.repeat([0.0, 1.0], [4, 296])  # all four would be one too many
    told = recognised("least", np.zeros(300), others)
    assert told.alarms.cases == told.found.cases == 0
    assert told.auc == pytest.approx(1 - 4 / 300 / 2)
    told = recognised("least", np.full(300, -1.0), others)
    assert (told.found.cases, told.alarms.cases) == (300, 0)
    assert recognised("least", np.zeros(300), np.arange(300.0)).alarms.cases == 3


def test_images_without_a_patch_that_counts_are_left_out():
    members = np.array([[1.0], [np.nan], [2.0]])
    assert membership(("least",), members, np.array([[3.0]])).members == 2


def test_equal_rows_are_copies_of_one_patch():
    rows = np.array([[1, 2], [3, 4], [1, 2], [3, 5], [-0.0, 1], [0.0, 1]], np.float32)
    assert alike(rows).tolist() == [0, 1, 0, 3, 4, 4]
    bank = bank_of(rows)
    patches = np.array([[1, 2], [9, 9]], np.float32)
    made = copies(rows, look(target_of(bank, "bolt"), [patches, patches]))
    assert (made.verbatim, made.told, made.most, made.images) == (2, 1, 2, 2)


def test_padding_is_no_row():
    rows = np.array([[1, 2], [0, 0], [0, 0]], np.float32)
    assert len(target_of(bank_of(rows), "bolt").rows) == 1
    with pytest.raises(DataError, match="no row of bolt"):
        target_of(bank_of(rows[1:]), "bolt")


def test_rows_that_went_through_a_public_projection_are_met_there(images, monkeypatch):
    """By members' patches that are projected alike, and once."""
    members, others = images
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(D, 3)))[0]
    axes = (np.rint(axes * AXIS_STEPS) / AXIS_STEPS).astype(np.float32)
    zeros = (np.zeros(size, np.float32) for size in (D, (1, 3)))
    mean, centres = zeros
    public = Public(mean, axes, centres, 1.0, 1.0, 1e-5, meaning(MARK_16))
    monkeypatch.setattr(projected, "public_of", lambda mark: public)
    plain = upload(members[:20], "float32")
    mark = replace(MARK_16, projection=public.digest)
    bank = plain.replace(rows=public.project(plain.rows), fingerprint=mark)
    told, made = attack(bank, members[:20], others)
    assert told.best.auc == 1
    assert made.share == 1
