"""DRAEM's networks: a loss by hand, training that helps, pictures that stay at the site."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fedad.errors import ConfigError, UploadError
from fedad.members._draem import CLEAN, corrupted, loss_of, odd, tapped, tensor_of, unlike
from fedad.members._torched import trained
from fedad.members._unet import Draem as Network
from fedad.members.draem import PAPER, Draem
from fedad.methods.base import Turn
from tests.members.drawn import (
    SIDE,
    SITES,
    Pictures,
    config_of,
    enrolled,
    part,
    parts,
    turns_of,
    uploads_of,
)

TINY = {"rounds": 2, "epochs": 1, "size": SIDE, "reconstruction": 2, "discrimination": 2}


@pytest.fixture(scope="module")
def member():
    return Draem.of(config_of("draem", TINY))


@pytest.fixture(scope="module")
def turns(member):
    return turns_of(member)


@pytest.fixture(scope="module")
def sent(member, turns):
    """What graz sends in each round."""
    return [uploads_of(member, turn, {"graz": SITES["graz"]})[0] for turn in turns[:-1]]


PICTURES = np.stack([part(seed) for seed in range(8)])


def test_structure_is_like_itself_and_unlike_noise():
    pictures = tensor_of(PICTURES[:2], "cpu")
    assert unlike(pictures, pictures).item() == pytest.approx(0, abs=1e-4)
    assert unlike(pictures, 1 - pictures).item() > 1
    one = pictures[:1, :1, :11, :11].double()
    other = (0.3 * one + 0.2).clone()
    a, b = one.flatten().numpy(), other.flatten().numpy()
    between = np.cov(a, b, bias=True)
    alike = (2 * a.mean() * b.mean() + 0.01**2) * (2 * between[0, 1] + 0.03**2)
    alike /= (a.mean() ** 2 + b.mean() ** 2 + 0.01**2) * (np.trace(between) + 0.03**2)
    assert unlike(one, other).item() == pytest.approx(1 - alike)


def test_half_of_the_pictures_stay_clean_and_masks_say_what_changed():
    seen = list(corrupted(PICTURES, 3, 20, np.random.default_rng(0)))
    assert sum(len(batch.good) for batch in seen) == 20 * len(PICTURES)
    clean = np.mean([not mask.any() for batch in seen for mask in batch.masks])
    assert abs(clean - CLEAN) < 0.15
    for batch in seen:
        np.testing.assert_array_equal(batch.good[~batch.masks], batch.seen[~batch.masks])


def test_the_loss_falls():
    torch.manual_seed(0)
    network = Network(3, 3)
    batches = corrupted(PICTURES, 4, 12, np.random.default_rng(1))
    losses = trained(
        network, batches, lambda one: loss_of(network, one, "cpu"), rate=1e-2, knob="draem.rate"
    )
    assert np.mean(losses[-6:]) < 0.75 * np.mean(losses[:6])


def test_a_tap_is_on_a_quarter_of_the_side(member, turns):
    tap = member.tap(turns[-1].model, parts(30, 31))
    assert tap.channels.shape == (2, SIDE // 4, SIDE // 4, 8)
    assert tap.anomaly.shape == (2, SIDE // 4, SIDE // 4)
    assert ((tap.anomaly >= 0) & (tap.anomaly <= 1)).all()
    assert [odd(size) for size in (0.4, 1.2, 2.6, 10.5, 21)] == [1, 1, 3, 11, 21]


def test_a_mask_is_averaged_around_each_place():
    class Sure(torch.nn.Module):
        def all(self, pictures):
            logits = torch.zeros(1, 2, 64, 64)
            logits[0, 0] = 50
            logits[0, :, 32:36, 32:36] = torch.tensor([0.0, 50.0])[:, None, None]
            return pictures, logits, torch.zeros(1, 3, 16, 16)

    _, anomaly = tapped(Sure(), np.zeros((64, 64, 3), np.uint8), "cpu")
    # Of 5 x 5 pixels 3 or 4 in each direction are sure, in the mean over the 4 x 4 of a patch 3.5.
    assert anomaly[8, 8] == anomaly.max() == pytest.approx((3.5 / 5) ** 2)
    assert anomaly[0, 0] == pytest.approx(0)


def test_images_of_any_size_are_seen(member, turns):
    large = np.kron(part(30), np.ones((3, 2, 1), np.uint8))
    features = replace(parts(30), pixels=Pictures((large,)))
    assert member.tap(turns[-1].model, features).anomaly.shape == (1, SIDE // 4, SIDE // 4)


def test_no_pixel_travels(member, sent):
    assert member.needs_pixels
    assert {*sent[0].travelling()["weights"]} == {"rows", "images"}


def test_the_honest_are_admitted_and_weights_are_averaged(member, turns, sent):
    for turn, upload in zip(turns, sent, strict=False):
        assert member.admit(upload, enrolled("graz"), turn)[1] == []
    one, other = uploads_of(member, Turn())
    expected = (6 * one.rows.astype(float) + 4 * other.rows) / 10
    np.testing.assert_allclose(turns[1].model.rows, expected, atol=1e-6)
    assert turns[1].model.by_product() == {"bolt": 10}


def test_a_product_that_is_away_stays_as_it_was(member, turns):
    hose = uploads_of(member, Turn(), {"turin": parts(20, category="hose")})
    both = member.merge([*uploads_of(member, Turn()), *hose], Turn(), rng=None)
    turn = Turn(2, both)
    later = member.merge(uploads_of(member, turn), turn, rng=None)
    assert later.categories == ("bolt", "hose")
    np.testing.assert_array_equal(later.rows[1], both.rows[1])
    assert (later.rows[0] != both.rows[0]).any()


def moved(rows):
    rows = rows.copy()
    rows[0, 0, 0] += 1.0
    return rows


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda one: {"rows": one.rows[:, :-1]}, "shape"),
        (lambda one: {"rows": moved(one.rows)}, "norm"),
        (lambda one: {"rows": one.rows + 0.1}, "range"),
        (lambda one: {"images": one.images + 100}, "counts"),
        (lambda one: {"scope": "mixed"}, "header"),
    ],
)
def test_what_no_site_can_have_trained_is_refused(member, turns, sent, change, word):
    for turn, upload in zip(turns, sent, strict=False):
        with pytest.raises(UploadError) as refused:
            member.admit(upload.replace(**change(upload)), enrolled("graz"), turn)
        assert refused.value.reason == word


def test_what_it_cannot_heed_is_refused():
    paper = Draem.of(config_of("draem", {"preset": "paper"})).knobs
    assert {name: getattr(paper, name) for name in PAPER} == PAPER
    with pytest.raises(ConfigError, match=r"draem\.size = 40: expected a multiple of 16"):
        Draem.of(config_of("draem", {"size": 40})).knobs  # noqa: B018
    bare, member = replace(SITES["graz"], pixels=None), Draem.of(config_of("draem", TINY))
    with pytest.raises(ConfigError, match="needs pixels"):
        member.fit(bare, Turn(), rng=np.random.default_rng(0))
