"""Long and large images: sides of their own, padding, tiles without seams, regions of interest."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedad.banks.admission import clamped
from fedad.config import read
from fedad.datasets.autovi import autovi
from fedad.embedders.backbone import build
from fedad.embedders.box import box_of, knobs_named, name_of
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, DataError
from fedad.images.roi import with_roi
from fedad.images.usable import survey
from fedad.judging.full_size import full_size
from fedad.judging.verdicts import judge
from fedad.methods.base import FIRST, forgotten, method_of
from fedad.round import fit, merge
from fedad.types import Sample, Site
from tests.conftest import MARK, bank_of, save


@pytest.fixture
def long(knobs, tmp_path):
    """Line scans of 64 x 320 pixels, seen as they are."""
    return read({**knobs, "embedder.size": "320x64", "embedder.cache": str(tmp_path / "features")})


def scan(rng, width=320, height=64):
    """A woven strip: stripes with noise, alike everywhere."""
    stripes = 110 + 30 * (np.arange(width) // 4 % 2)
    pixels = np.repeat(stripes[None, :, None], height, 0) + rng.normal(0, 3, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def scans(folder, count, *, defect_at=None, width=320, height=64):
    found = []
    for k in range(count):
        pixels = scan(np.random.default_rng([k, width]), width, height)
        if defect_at is not None:
            pixels[24:40, defect_at : defect_at + 12] = (220, 40, 40)
        name = "good" if defect_at is None else f"at{defect_at}"
        path = folder / name / f"{k}.png"
        save(path, pixels)
        split, masks = ("train", ()) if defect_at is None else ("test", None)
        found.append(Sample("strip", split, name, path, masks))
    return found


def bank_of_scans(config, train):
    embed = Embedder(config.embedder)
    own, upload, _ = fit(config, Site("lyon", tuple(train), ()), embed)
    return embed, own, merge(config, [upload])


def test_a_side_of_its_own_gives_a_grid_of_its_own(long, tmp_path):
    grid = Embedder(long.embedder)(scans(tmp_path, 1)).grid
    assert grid.shape[1:3] == (8, 40)


def test_a_square_is_named_as_before_and_every_name_gives_its_knobs_back(config):
    assert name_of(config.embedder) == config.embedder.size
    for changed in (
        {"size": "320x64"},
        {"size": "320x64", "fit": "pad"},
        {"size": 256, "tile": 128, "overlap": 64},
        {"size": 64},
    ):
        knobs = replace(config.embedder, **changed)
        assert replace(knobs, **knobs_named(name_of(knobs))) == knobs
    with pytest.raises(DataError, match="expected one such as"):
        knobs_named("64 by 64")


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"embedder.size": "320"}, "expected"),
        ({"embedder.size": "320x8"}, "side greater than or equal to 32"),
        ({"embedder.tile": 100}, "multiple of 32"),
        ({"embedder.tile": 128, "embedder.overlap": 96}, "at most half of embedder.tile"),
    ],
)
def test_sizes_that_cannot_be_are_refused(knobs, told):
    with pytest.raises(ConfigError, match=told):
        read(knobs)


def test_padding_is_in_no_bank_and_in_no_score(long, tmp_path):
    """A low image in a wide box: the rest of the canvas is nobody's."""
    config = replace(long, embedder=replace(long.embedder, size="320x128", fit="pad"))
    train = scans(tmp_path, 3)  # 320 x 64: the upper half of the box
    embed, own, bank = bank_of_scans(config, train)
    valid = embed(train).valid
    assert valid.any(axis=2).sum(axis=1).tolist() == [8, 8, 8]  # rows of patches, of 16
    assert np.isin(own.source, np.flatnonzero(valid)).all()
    assert bank.patches.sum() == valid.sum()
    maps, _ = method_of(config).score(bank, embed(train), own=own)
    assert not maps[~valid].any()
    (verdict,) = judge(config, train[:1], embed, bank, own=own, site="lyon")
    assert verdict.scored.map.shape == (64, 320)
    assert (verdict.trace.nearest[8:] == -1).all()


def test_what_borders_on_padding_is_not_smoothed_towards_it():
    valid = np.zeros((8, 8), bool)
    valid[:4, :6] = True
    scores = np.where(valid, np.float32(3), np.float32(0))
    found = full_size(scores, (50, 75), side=64, sigma=4, filled=(32, 48), valid=valid)
    assert found.shape == (50, 75)
    np.testing.assert_allclose(found, 3, rtol=1e-6)


def tiled(config, tile=128, overlap=64):
    return replace(config, embedder=replace(config.embedder, tile=tile, overlap=overlap))


def test_tiles_give_nearly_what_the_whole_gives(long, tmp_path):
    train = scans(tmp_path, 2)
    whole = Embedder(long.embedder)(train).grid
    parts = Embedder(tiled(long).embedder)(train).grid
    assert parts.shape == whole.shape
    inside = slice(2, 38)  # but for the ends, which see the border of the whole as well
    gap = np.linalg.norm(parts - whole, axis=-1)[:, :, inside]
    assert (
        gap.mean() < 0.1 * np.linalg.norm(whole - whole.mean((1, 2), keepdims=True), axis=-1).mean()
    )


def test_tiles_that_overlap_by_all_that_a_patch_sees_are_the_whole_wherever_seams_are(long):
    wide = replace(long.embedder, size="640x64")
    pixels = np.random.default_rng(0).integers(0, 255, (64, 672, 3)).astype(np.uint8)
    whole = build(wide)(pixels[None, :, :640])
    network = build(replace(wide, tile=192, overlap=96))
    np.testing.assert_array_equal(network(pixels[None, :, :640]), whole)
    shifted = network(pixels[None, :, 32:])  # by 4 patches, so that seams are elsewhere
    np.testing.assert_array_equal(shifted[:, :, 12:-16], whole[:, :, 16:-12])


def test_a_defect_on_a_seam_scores_as_one_inside(long, tmp_path):
    config = tiled(long)
    trained = bank_of_scans(config, scans(tmp_path, 4))
    cuts = [piece.first * 8 for piece in trained[0].backbone.tiles._pieces(1)[1:]]
    assert cuts
    seams = [score_at(cut - 6, config, trained, tmp_path) for cut in cuts]
    inside = score_at(cuts[0] // 2 // 8 * 8 + 2, config, trained, tmp_path)
    good = score_at(None, config, trained, tmp_path)
    assert min(seams) > 2 * good
    assert min(seams) > 0.85 * inside


def score_at(at, config, trained, folder):
    (embed, own, bank), samples = trained, scans(folder / "test", 1, defect_at=at)
    (verdict,) = judge(config, samples, embed, bank, own=own)
    return verdict.scored.image_score


def test_a_line_scan_of_200_x_5000_pixels_is_judged_at_full_size_in_tiles(long, tmp_path):
    """On a seam and inside, the defect is where the map is highest."""
    sides = {"width": 5000, "height": 200}
    whole = replace(long.embedder, size="5000x200")
    few = replace(long.coreset, local_ratio=0.01)
    config = tiled(replace(long, embedder=whole, coreset=few), tile=256, overlap=128)
    embed, own, bank = bank_of_scans(config, scans(tmp_path, 2, **sides))
    assert bank.patches.sum() == 2 * 25 * 625  # every 8 pixels, and none of the canvas around
    seam = embed.backbone.tiles._pieces(1)[9].first * 8

    def judged(at):
        samples = scans(tmp_path / "test", 1, defect_at=at, **sides)
        (verdict,) = judge(config, samples, embed, bank, own=own)
        return verdict.scored

    good = judged(None).image_score
    for at in (seam - 6, seam + 58):
        scored = judged(at)
        assert scored.map.shape == (200, 5000)
        row, column = np.unravel_index(scored.map.argmax(), scored.map.shape)
        assert 16 <= row < 48
        assert at - 8 <= column < at + 20
        assert scored.image_score > 2 * good


def test_a_shifted_image_has_a_shifted_map_whatever_seams_it_crosses(long, tmp_path):
    config = tiled(long)
    embed, own, bank = bank_of_scans(config, scans(tmp_path, 4))
    peaks = {}
    for at in range(96, 224, 8):
        samples = scans(tmp_path / "test", 1, defect_at=at)
        (verdict,) = judge(config, samples, embed, bank, own=own)
        peaks[at] = np.unravel_index(verdict.scored.map.argmax(), verdict.scored.map.shape)[1] - at
        assert verdict.scored.map.max() > 0
    assert max(peaks.values()) - min(peaks.values()) <= 16  # two patches


def test_what_is_outside_the_region_of_interest_is_neither_learned_nor_judged(
    plants, knobs, tmp_path
):
    config = read({**knobs, "data.roi": "roi.png"})
    dataset = autovi(shutil.copytree(plants, tmp_path / "plants"))
    folder = dataset.folders["bolt"]
    mask = np.zeros((60, 72), np.uint8)
    mask[:, :36] = 255
    Image.fromarray(mask).save(folder / "roi.png")
    bolts = [sample for sample in dataset.samples if sample.category == "bolt"]
    looked = with_roi(bolts, dataset, "roi.png", "lyon")
    with pytest.raises(DataError, match=r"hose/roi\.png: there is no such file"):
        with_roi(dataset.samples, dataset, "roi.png", "lyon")
    train = [sample for sample in looked if sample.split == "train"]
    embed = Embedder(config.embedder)
    own, upload, _ = fit(config, Site("lyon", tuple(train), ()), embed)
    bank = merge(config, [upload])
    features = embed(train)
    assert not features.valid[:, :, 5:].any()
    assert features.valid[:, :, :4].all()
    assert np.isin(own.source, np.flatnonzero(features.valid)).all()
    blotted = [sample for sample in looked if sample.defect == "blot"]
    for verdict in judge(config, blotted, embed, bank, own=own, site="lyon"):
        assert not verdict.scored.map[:, 36:].any()
    method = method_of(config)
    slow, quick = forgotten(method, bank, own, "lyon"), method.leaving_out(bank, own, "lyon")
    for number in range(len(train)):
        one = features.take([number])
        assert slow(one, [number]) == quick(one, [number])


def test_a_mask_for_another_camera_is_found_before_anything_is_learned(plants, config, tmp_path):
    dataset = autovi(shutil.copytree(plants, tmp_path / "plants"))
    for folder in dataset.folders.values():
        Image.new("L", (60, 72), 255).save(folder / "roi.png")
    looked = with_roi(dataset.samples, dataset, "roi.png", "lyon")
    (fault, *_) = survey(config, Site("lyon", looked, ())).faults
    assert fault.reason == "mask-size"
    assert "was it drawn for another camera" in fault.text
    with pytest.raises(ConfigError, match="there are no sites here"):
        with_roi(dataset.samples, dataset, "{site}.png")


def test_the_server_believes_images_of_which_half_is_left_out(long):
    """By a run's knobs alone: without them an image is all its patches."""
    rows = np.ones((32, 4), np.float32)  # a quarter of half the 256 patches of an image
    bank = bank_of(rows, mark=replace(MARK, patches=256)).replace(patches=np.array([[128]]))
    two = bank.replace(images=np.array([[2]]))
    masked = replace(long, data=replace(long.data, roi="roi.png"))
    assert clamped(masked, two, per_image=256)[0].images.sum() == 2
    assert clamped(long, two, per_image=256)[0].images.sum() == 1


def test_a_method_that_learns_from_all_patches_refuses_what_leaves_some_out(knobs):
    with pytest.raises(ConfigError, match=r"data\.roi = 'roi\.png': not with round\.method"):
        method_of(read({**knobs, "round.method": "gaussian", "data.roi": "roi.png"}))
    assert method_of(read(knobs)).leaves_out
    assert FIRST.number == 1


def test_every_canvas_is_a_multiple_of_the_step_in_tiles(long):
    knobs = replace(long.embedder, size="5000x200", tile=256)
    assert box_of(knobs).canvas == (224, 5024)


PEAK = "print(len(bank), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
BUILD = """
import resource, sys
from pathlib import Path
from fedad.config import read
from fedad.running.by_hand import build
knobs = dict(word.split("=", 1) for word in sys.argv[2:])
knobs |= {"embedder.tile": 512, "coreset.memory-gb": 1.0, "coreset.local-ratio": 0.001}
knobs |= {"data.most-megapixels": 60.0}
bank = build(read(knobs), "lyon", Path(sys.argv[1]))
"""
SCORE = """
import resource, sys
from pathlib import Path
from fedad.config import read
from fedad.running.maps import write_maps
bank, folder = map(Path, sys.argv[1:3])
config = read({"data.dataset": "auto", "data.most-megapixels": 60.0, "embedder.cache": "off"}
              | {"embedder.weights": "random"})
bank = range(write_maps(config, folder, bank, bank.parent / "maps", form="npy").maps)
"""


def in_a_process(code, *words):
    """How many, and the bytes that the process took at its most."""
    done = subprocess.run(
        [sys.executable, "-c", code + PEAK, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, peak = map(int, done.stdout.split()[-2:])
    print(f"{count}, {peak / 1e9:.2f} GB")
    return count, peak


@pytest.mark.reliability
def test_a_photo_of_49_megapixels_is_learned_and_judged_within_a_gigabyte(tmp_path):
    """A drawn one, in tiles of 512; what either process takes in all stays under 1.5 GB."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(60, 200, (750, 1024, 3), np.uint8)).resize((8192, 6000))
    (tmp_path / "big" / "good").mkdir(parents=True)
    photo.save(tmp_path / "big/good/0.png", compress_level=1)
    knobs = {
        "data.dataset": "auto",
        "data.dir": tmp_path / "big",
        "embedder.size": "8192x6000",
        "embedder.cache": "off",
        "embedder.weights": "random",
    }
    words = [f"{key}={value}" for key, value in knobs.items()]
    rows, peak = in_a_process(BUILD, tmp_path / "bank.safetensors", *words)
    assert rows == 768
    assert peak < 1.5e9
    maps, peak = in_a_process(SCORE, tmp_path / "bank.safetensors", tmp_path / "big/good/0.png")
    assert maps == 1
    assert peak < 1.5e9
