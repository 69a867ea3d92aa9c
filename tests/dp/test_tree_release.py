"""The release `dp_tree`: what is in the bank that leaves, and what never is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.config import read
from fedad.dp import public as public_module
from fedad.dp.gaussian import epsilon_of, together
from fedad.dp.levels import BLOCKS, LEVELS
from fedad.dp.noise import OsNoise, SeededNoise
from fedad.dp.public import save
from fedad.dp.released import ROWS
from fedad.errors import ConfigError
from fedad.messages.file import save as save_bank
from fedad.methods.base import FIRST
from fedad.methods.gaussian import Gaussian
from fedad.privacy.dp_tree import Knobs, dp_tree, units_of
from fedad.privacy.noisy_rows import Knobs as NoisyKnobs
from fedad.privacy.noisy_rows import noisy_rows
from fedad.types import Features
from tests.conftest import MARK, bank_of
from tests.contracts.drawn_sites import config_of
from tests.dp.public_numbers import patches, public_numbers

H, W, D = 6, 10, 12
PUBLIC = public_numbers(D)


@pytest.fixture(autouse=True)
def _public_projection(tmp_path, monkeypatch):
    save(tmp_path / "tiny.json", PUBLIC)
    monkeypatch.setattr(public_module, "FOLDER", tmp_path)


def features(count=6, categories=("bolt", "hose"), seed=0, **more):
    """Images of each category in turn."""
    grid = patches(count * H * W, D, seed).reshape(count, H, W, D)
    whose = tuple(categories[k % len(categories)] for k in range(count))
    names = tuple(f"{name}/train/good/{k:04d}" for k, name in enumerate(whose))
    return Features(grid, whose, names, replace(MARK, patches=H * W), **more)


def upload_of(found):
    names = tuple(sorted({*found.categories}))
    counts = np.ones((1, len(names)), np.int64)
    rows = found.grid[:, 0, 0]
    category = np.array([names.index(name) for name in found.categories], np.int32)
    return Bank(
        rows=rows,
        category=category,
        site=np.zeros(len(rows), np.int32),
        row=np.arange(len(rows), dtype=np.int32),
        categories=names,
        sites=("lyon",),
        images=9 * counts,
        patches=999 * counts,
        fingerprint=found.fingerprint,
    )


def released(found, noise=None, **knobs):
    return dp_tree(upload_of(found), found, noise=noise or OsNoise(), settings=Knobs(**knobs))


class InPieces:
    """Features whose patches come in pieces that end within images, as rows of tiles do."""

    def __init__(self, found, size):
        self.found, self.size = found, size

    def __getattr__(self, name):
        return getattr(self.found, name)

    def parts(self, category=None):
        (whole,) = self.found.parts(category)
        ends = [*range(0, len(whole), self.size), len(whole)]
        yield from (whole[a:b] for a, b in pairwise(ends))


@pytest.mark.parametrize("count", [2, 3, 20])
def test_the_bank_has_the_public_form_whatever_the_images(count):
    bank, receipt = released(features(count))
    assert bank.rows.shape == (2 * ROWS, PUBLIC.size)
    assert bank.dtype == "float16"
    np.testing.assert_array_equal(bank.rows, bank.rows.astype(np.float16))
    np.testing.assert_array_equal(bank.row, np.arange(2 * ROWS))
    np.testing.assert_array_equal(bank.category, np.repeat([0, 1], ROWS))
    assert (bank.images == 1).all()
    assert ((bank.patches >= 1) & (bank.patches <= ROWS)).all()
    assert bank.fingerprint.projection == PUBLIC.digest
    assert not len(bank.source)
    assert np.isnan(bank.radius)
    assert np.linalg.norm(bank.rows.astype(float), axis=1).max() <= PUBLIC.longest
    assert sum(receipt.images.values()) == count


def test_the_receipt_says_what_was_added():
    for epsilon, start in ((1.0, "positions"), (10.0, "codebook")):
        _, receipt = released(features(), epsilon=epsilon, start=start)
        assert len(receipt.noise) == 2 * len(LEVELS[start])
        assert epsilon_of(together(receipt.noise), receipt.delta) == pytest.approx(epsilon)
        assert epsilon_of(together(receipt.noise), receipt.delta) <= epsilon
        assert receipt.private
    assert not released(features(), SeededNoise(0))[1].private


@pytest.mark.parametrize("values", [np.nan, np.inf, 3e38, 0.0])
def test_no_image_raises_an_error(values):
    found = features()
    found.grid[1] = values
    bank, _ = released(found)
    assert np.isfinite(bank.rows).all()
    only = released(replace(found, grid=np.full_like(found.grid, values)))[0]
    assert np.isfinite(only.rows).all()


@pytest.mark.parametrize("size", [1, 7, 60, 61, 1000])
@pytest.mark.parametrize("masked", [False, True])
def test_the_same_bank_comes_of_features_in_pieces(size, masked):
    valid = np.random.default_rng(3).random((6, H, W)) < 0.5 if masked else None
    if masked:
        valid[2] = False
    found = features(valid=valid)
    upload = upload_of(found)
    whole, pieces = (
        dp_tree(upload, one, noise=SeededNoise(1), settings=Knobs())[0]
        for one in (found, InPieces(found, size))
    )
    assert whole.rows.tobytes() == pieces.rows.tobytes()


def test_an_image_gives_its_valid_patches_on_the_grid_with_their_blocks():
    valid = np.ones((6, H, W), bool)
    valid[0, :, 3:] = False
    found = features(valid=valid)
    units = units_of(found, "bolt", PUBLIC, tuple("abcdef"), 2)
    assert [len(unit.points) for unit in units] == [3 * 2, 3 * 5, 3 * 5]
    np.testing.assert_array_equal(
        units[0].points, PUBLIC.project(found.grid[0, ::2, :3:2].reshape(-1, D))
    )
    rows, columns = np.arange(0, H, 2) * BLOCKS // H, np.arange(0, W, 2) * BLOCKS // W
    np.testing.assert_array_equal(units[1].blocks, (rows[:, None] * BLOCKS + columns).ravel())


def test_all_images_of_a_part_are_one_unit():
    parts = ("bolt: 1", "hose: 1", "bolt: 1", "hose: 2", "bolt: 2", "hose: 3")
    found = features(shown=parts)
    units = units_of(found, "bolt", PUBLIC, parts, 2)
    assert [len(unit.points) for unit in units] == [2 * 15, 15]
    bank, receipt = released(found, unit="part")
    assert receipt.unit == "part"
    same = replace(found, shown=tuple("abcdef"))
    as_images = released(same, SeededNoise(4), unit="part")[0]
    np.testing.assert_array_equal(as_images.rows, released(found, SeededNoise(4))[0].rows)
    assert not np.array_equal(as_images.rows, released(found, SeededNoise(4), unit="part")[0].rows)
    assert len(bank) == 2 * ROWS


def test_what_cannot_be_released_is_refused_in_one_line():
    found = features()
    with pytest.raises(ConfigError, match=r"set data\.group"):
        released(found, unit="part")
    with pytest.raises(ConfigError, match=r"public_projection\.py"):
        released(replace(found, fingerprint=replace(found.fingerprint, backbone="other")))
    mixed = upload_of(found).replace(scope="mixed")
    with pytest.raises(ConfigError, match=r"bank\.scope = 'mixed'"):
        dp_tree(mixed, found, noise=OsNoise(), settings=Knobs())
    sums = Gaussian.of(config_of("gaussian")).fit(found, FIRST, rng=np.random.default_rng(0))
    for release, knobs in ((dp_tree, Knobs()), (noisy_rows, NoisyKnobs())):
        with pytest.raises(ConfigError, match="this method uploads 'sums'"):
            release(sums, found, noise=OsNoise(), settings=knobs)


def test_an_upload_of_one_product_is_below_200_000_bytes(tmp_path):
    public = public_numbers(80)
    save(tmp_path / "wide.json", replace(public, embedding={**public.embedding, "pool": 5}))
    grid = patches(4 * H * W, 80).reshape(4, H, W, 80)
    mark = replace(MARK, pool=5)
    found = Features(grid, ("bolt",) * 4, tuple("abcd"), mark)
    bank = released(found)[0].sealed("lyon", "float16")
    assert bank.rows.shape == (ROWS, 64)
    save_bank(tmp_path / "bank.safetensors", bank)
    assert (tmp_path / "bank.safetensors").stat().st_size <= 200_000


def test_noise_on_rows_has_the_stated_length_and_protects_nothing():
    bank = bank_of(np.full((400, 50), 3.0), "lyon")
    found = features()
    noisy, receipt = noisy_rows(bank, found, noise=OsNoise(), settings=NoisyKnobs(share=0.2))
    share = np.linalg.norm(noisy.rows - bank.rows, axis=1) / np.linalg.norm(bank.rows, axis=1)
    assert share.mean() == pytest.approx(0.2, rel=0.05)
    assert type(receipt).__name__ == "Unprotected"
    claimed, receipt = noisy_rows(bank, found, noise=OsNoise(), settings=NoisyKnobs(by="claim"))
    sigma = np.linalg.norm(bank.rows[0]) * np.sqrt(2 * np.log(1.25e5)) / 10
    assert (claimed.rows - bank.rows).std() == pytest.approx(sigma, rel=0.05)
    assert type(receipt).__name__ == "Unprotected"


def test_knobs_out_of_range_are_refused():
    for knob, value in (("epsilon", 0.0), ("delta", 0.5), ("start", "data"), ("stride", 0)):
        with pytest.raises(ConfigError, match=rf"dp_tree\.{knob}"):
            read({f"dp_tree.{knob}": value})
