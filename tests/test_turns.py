"""Training images at several turns: `patchcore.turns`."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.box import box_of
from fedad.embedders.embedder import Embedder
from fedad.embedders.in_parts import InParts, within_memory
from fedad.embedders.turns import copies, sources
from fedad.errors import ConfigError
from fedad.images.turning import before, filled_by, turned_by
from fedad.methods.base import FIRST, method_of
from fedad.partition import one_site, partition
from fedad.round import fit, run_round
from tests.conftest import save
from tests.contracts.test_methods import same

TURNED = {"patchcore.preset": "custom", "patchcore.turns": 4, "score.replicates": 0}


@pytest.fixture(scope="module")
def config(knobs):
    return read({**knobs, **TURNED})


@pytest.fixture(scope="module")
def embed(config):
    return Embedder(config.embedder)


@pytest.fixture(scope="module")
def sites(config):
    return partition(open_dataset(config.data), config.data, seed=0)


@pytest.fixture(scope="module")
def bank(config, sites, embed):
    return fit(config, sites[0], embed).own


def test_a_quarter_turn_of_a_square_loses_nothing():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8))
    np.testing.assert_array_equal(turned_by(image, 90), np.rot90(image))
    assert filled_by((8, 8), 90).all()
    assert not filled_by((8, 12), 90).all()
    assert not filled_by((8, 8), 45).all()
    assert turned_by(image, 0) is image


@pytest.mark.parametrize("degrees", [45, 90, 135, 180, 270, 315])
@pytest.mark.parametrize("size", [(40, 40), (40, 60)])
def test_it_is_known_where_a_turned_pixel_was(size, degrees):
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    ramp = np.stack([4 * y, 4 * x, 0 * y], -1).round().astype(np.uint8)
    there = np.asarray(turned_by(Image.fromarray(ramp), degrees)).astype(float) / 4
    inside = filled_by(size, degrees).copy()
    inside[[0, -1]], inside[:, [0, -1]] = False, False
    was = np.stack(before(y, x, size, degrees), -1)
    assert inside.sum() > 400
    assert np.abs(there[..., :2] - was)[inside].max() <= 0.76


@pytest.fixture(scope="module")
def squares(sites, tmp_path_factory):
    """Two square images of noise, which quarter turns leave whole."""
    folder, rng = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for name in ("0", "1"):
        save(folder / f"{name}.png", rng.integers(0, 255, (64, 64, 3), np.uint8))
    return tuple(replace(sites[0].train[0], path=folder / f"{name}.png") for name in ("0", "1"))


def test_each_patch_of_a_copy_has_the_patch_that_it_shows(config, squares, embed):
    h, w, _ = embed.shape
    found = sources(copies(squares, 4), 2, box_of(config.embedder), (h, w)).reshape(3, 2, h, w)
    own = np.arange(h * w).reshape(h, w)
    for number, times in enumerate((1, 2, 3)):
        np.testing.assert_array_equal(found[number, 0], np.rot90(own, times))
        np.testing.assert_array_equal(found[number, 1], h * w + np.rot90(own, times))


def test_of_an_image_that_is_not_square_the_middle_is_left(config, sites, embed):
    """A quarter turn of 72 x 60 pixels fills 60 x 60 of them; half a turn fills all."""
    quarter, half, _ = embed(copies(sites[0].train[:1], 4)).valid
    assert half.all()
    assert not quarter[:, [0, -1]].any()
    assert quarter[:, 1:-1].all()


def test_only_patches_of_the_image_are_valid(squares, embed):
    assert embed(copies(squares, 4)).valid is None
    eighth = embed(copies(squares, 8)).valid[0]
    assert not eighth[0, 0]
    assert eighth[2:-2, 2:-2].all()
    assert embed(copies(squares, 8)).valid[2].all()


def test_a_region_of_interest_turns_with_its_image(squares, embed, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 255  # the upper half
    save(tmp_path / "roi.png", mask)
    samples = [replace(one, roi=tmp_path / "roi.png") for one in squares]
    valid, (h, w, _) = embed(copies(samples, 4)).valid, embed.shape
    assert valid[0, :, : w // 2].all()  # a quarter counter-clockwise: the left half
    assert not valid[0, :, w // 2 :].any()
    assert not valid[2, : h // 2].any()


def test_rows_come_of_turned_copies_and_images_stay_as_many(knobs, sites, embed, bank):
    plain = fit(read({**knobs, "patchcore.preset": "classic"}), sites[0], embed).own
    assert len(bank) == len(plain)
    np.testing.assert_array_equal(bank.images, plain.images)
    np.testing.assert_array_equal(bank.patches, plain.patches)
    assert bank.fingerprint == plain.fingerprint
    assert set(bank.image) <= set(range(len(sites[0].train)))
    grids = embed(sites[0].train).patches
    own = grids[bank.source]
    turned = ~(np.abs(own - bank.rows) < 1e-5).all(axis=1)
    assert 0.5 < turned.mean() < 1


def test_leaving_an_image_out_leaves_out_all_its_turns(config, sites, embed, bank):
    image = sites[0].train[1]
    rest, mine = method_of(config).without_images(
        bank.sealed(sites[0].name, "float32"), bank, sites[0].name, [1]
    )
    assert 1 not in mine.image
    patches = np.concatenate([embed([image]).patches, embed(copies([image], 4)).patches])
    of_image = [bool((np.abs(patches - row).max(axis=1) < 1e-5).any()) for row in rest.rows]
    assert len(rest) < len(bank)
    assert not any(of_image)


def test_one_site_is_centralised_and_the_order_of_sites_is_nothing(config, sites, embed):
    one, other = (run_round(config, some, embed) for some in (sites, sites[::-1]))
    same(one.model, other.model)
    whole = one_site("all", open_dataset(config.data), config.data, seed=0)
    method = method_of(config)
    own = fit(config, whole, embed).upload
    merged = method.merge([own], FIRST, rng=np.random.default_rng(0))
    assert {*map(bytes, merged.rows)} == {*map(bytes, own.rows)}


def test_they_come_in_parts_where_memory_is_short(config, sites, embed):
    samples, turns = sites[0].train, 4
    whole = within_memory(config, embed, samples, turns)
    parts = InParts(embed, tuple(samples), whole.shape, 2**20)
    tight = replace(
        parts, turned=whole.turned._replace(features=replace(parts, samples=copies(samples, turns)))
    )
    for category in (None, samples[0].category):
        some = [np.concatenate([*one.turned.features.parts(category)]) for one in (whole, tight)]
        np.testing.assert_array_equal(*some)
    made = method_of(config).fit(tight, FIRST, rng=np.random.default_rng(0))
    found = method_of(config).fit(whole, FIRST, rng=np.random.default_rng(0))
    assert len(made) == len(found)
    assert np.isfinite(made.radius)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"patchcore.turns": 3}, "patchcore.turns = 3"),
        ({"patchcore.turns": 4}, "set patchcore.preset = 'custom'"),
        ({**TURNED, "patchcore.position": 0.5}, "set patchcore.position = 0"),
        ({**TURNED, "privacy.release": "dp_tree"}, "privacy.release = 'dp_tree'"),
    ],
)
def test_turns_that_do_not_go_are_refused(given, says):
    with pytest.raises(ConfigError, match=says) as refused:
        method_of(read(given))
    assert "\n" not in str(refused.value)
