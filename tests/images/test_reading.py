"""What a camera writes about a picture: bits, orientation, colour profile; and how large it is."""

import hashlib
import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fedad.config import read
from fedad.embedders.cache import Cache
from fedad.errors import BadFileError, DataError
from fedad.evaluation import evaluate
from fedad.images.facts import facts_of, sentence
from fedad.images.files import image_size
from fedad.images.pixels import read_image, read_region
from fedad.images.reading import reading_of
from fedad.images.remembered import KnownImages
from fedad.types import Channel, Fingerprint, Reading, Saturation
from tests.bad_data import files
from tests.bad_data.cases import draw_plant
from tests.bad_data.files import RGB, chunk, saved

SHAPE = (20, 24)


def reading(**knobs) -> Reading:
    return reading_of(read({f"data.{name.replace('_', '-')}": v for name, v in knobs.items()}).data)


def deep_png(values: np.ndarray, colour: int, extra: bytes = b"") -> bytes:
    """A PNG of 16 bits; `colour` is 0 (grey), 2 (RGB), 4 (grey, opacity) or 6 (RGBA)."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width = values.shape[:2]
    return files.png(width, height, bits=16, colour=colour, data=zlib.compress(rows), extra=extra)


def tiff(values: np.ndarray, order: str = "<", bits: int = 16) -> bytes:
    """A TIFF of one strip of these values, RGB where they have three colours, not compressed."""
    height, width = values.shape[:2]
    colours = 1 if values.ndim == 2 else values.shape[2]
    data = packed(values) if bits == 12 else values.astype(f"{order}u2").tobytes()
    entries = [(256, 3, 1, width), (257, 3, 1, height), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 2 if colours == 3 else 1), (277, 3, 1, colours), (278, 3, 1, height)]
    after = 8 + 2 + 12 * 9 + 4
    entries += [(258, 3, colours, after if colours == 3 else bits)]
    entries += [(273, 4, 1, after + 8), (279, 4, 1, len(data))]
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in sorted(entries):
        directory += struct.pack(f"{order}HHI", tag, kind, count)
        short = kind == 3 and count == 1
        directory += struct.pack(f"{order}HH" if short else f"{order}I", *([value, 0][: 1 + short]))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + directory + bytes(4) + struct.pack(f"{order}4H", 16, 16, 16, 0) + data


def packed(values: np.ndarray) -> bytes:
    """12 bits a value, two values in three bytes."""
    pairs = values.reshape(-1, 2).astype(int)
    first, middle, last = pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1]
    return np.stack([first, middle, last & 255], 1).astype(np.uint8).tobytes()


def drawn(bits: int, colours: int = 1) -> np.ndarray:
    shape = SHAPE if colours == 1 else (*SHAPE, colours)
    return np.random.default_rng(5).integers(0, 2**bits, shape).astype(np.uint16)


def pixels(tmp_path, content: bytes, how: Reading, name: str = "x.png") -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(content)
    return np.asarray(read_image(path, how))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(("colour", "count"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_the_upper_eight_of_the_bits_that_a_camera_writes(tmp_path, bits, colour, count):
    values = drawn(bits, count)
    seen = pixels(tmp_path, deep_png(values, colour), reading(bits=bits))
    told = values if count == 1 else values[..., : 3 if count > 2 else 1]
    np.testing.assert_array_equal(seen, np.broadcast_to(_rgb(told >> (bits - 8)), seen.shape))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("count", [1, 3])
def test_tiff_of_either_byte_order(tmp_path, order, count):
    values = drawn(12, count)
    seen = pixels(tmp_path, tiff(values, order), reading(bits=12), "x.tif")
    np.testing.assert_array_equal(seen, np.broadcast_to(_rgb(values >> 4), seen.shape))


@pytest.mark.parametrize("how", ["tiff_lzw", "tiff_adobe_deflate"])
def test_grey_tiff_compressed(tmp_path, how):
    values = drawn(10)
    content = saved(Image.fromarray(values), "TIFF", compression=how)
    seen = pixels(tmp_path, content, reading(bits=10), "x.tif")
    np.testing.assert_array_equal(seen[..., 0], values >> 2)


def test_twelve_bits_packed_say_by_themselves_what_is_white(tmp_path):
    values = drawn(12)
    seen = pixels(tmp_path, tiff(values, bits=12), Reading(), "x.tif")
    np.testing.assert_array_equal(seen[..., 0], values >> 4)


def test_any_white_level(tmp_path):
    values = np.array([[0, 1000, 2000, 4000] * 6] * 20, np.uint16)
    seen = pixels(tmp_path, deep_png(values, 0), reading(white=2000.0))
    assert seen[0, :4, 0].tolist() == [0, 127, 255, 255]


def test_floats_and_whole_numbers_of_32_bits_need_a_white(tmp_path):
    ramp = np.linspace(0, 1, 480, dtype=np.float32).reshape(SHAPE)
    for values, white in ((ramp, 1.0), ((ramp * 70_000).astype(np.int32), 70_000.0)):
        content = saved(Image.fromarray(values), "TIFF")
        with pytest.raises(BadFileError, match=r"set data\.white"):
            pixels(tmp_path, content, Reading(), "x.tif")
        seen = pixels(tmp_path, content, reading(white=white), "x.tif")[..., 0].ravel()
        assert (seen[0], seen[-1]) == (0, 255)
        assert abs(seen[240] - 128) <= 1
    broken = saved(Image.fromarray(np.where(ramp > 0.5, np.nan, ramp)), "TIFF")
    with pytest.raises(BadFileError, match="no numbers"):
        pixels(tmp_path, broken, reading(white=1.0), "x.tif")


def test_bits_as_the_file_says(tmp_path):
    said = chunk(b"sBIT", bytes([12]))
    values = drawn(12)
    seen = pixels(tmp_path, deep_png(values, 0, said), reading(bits=0))
    np.testing.assert_array_equal(seen[..., 0], values >> 4)
    scaled = (values << 4).astype(np.uint16)  # what PNG asks of who writes sBIT
    np.testing.assert_array_equal(
        pixels(tmp_path, deep_png(scaled, 0, said), reading(bits=0))[..., 0], values >> 4
    )
    np.testing.assert_array_equal(
        pixels(tmp_path, deep_png(scaled, 0), reading(bits=0))[..., 0], values >> 4
    )


def test_eight_bits_are_never_scaled(tmp_path):
    np.testing.assert_array_equal(pixels(tmp_path, saved(RGB), reading(bits=12)), np.asarray(RGB))


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_dim_file_is_told_its_bits_and_the_knob(tmp_path, bits, colours):
    path = tmp_path / "x.png"
    path.write_bytes(deep_png(drawn(bits, colours), 0 if colours == 1 else 2))
    known = KnownImages(None)
    facts = facts_of(path, known, Reading())
    assert {"deep", "dim"} <= {*facts.notes}
    assert f"data.bits = {bits}, or bits in a site's node-config" in sentence("dim", path, facts)
    assert not facts_of(path, known, reading(bits=bits)).notes


def test_values_above_white_are_told(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(deep_png(drawn(14), 0))
    assert "clipped" in facts_of(path, KnownImages(None), reading(bits=12)).notes


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_every_format_is_turned_by_its_tag_or_none_is(tmp_path, kind, tag):
    plain, path = files.turned(kind, 1), tmp_path / "x"
    path.write_bytes(plain)
    stored = np.asarray(read_image(path))
    path.write_bytes(files.turned(kind, tag))
    np.testing.assert_array_equal(np.asarray(read_image(path)), stored)
    assert image_size(path) == stored.shape[:2]
    apply = reading(orientation="apply")
    turned = np.asarray(read_image(path, apply))
    np.testing.assert_array_equal(turned, TURN[tag](stored))
    assert image_size(path, apply) == turned.shape[:2]


TURN = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_mask_is_turned_as_an_image_is(tmp_path, kind):
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:5, 3:9] = 200
    tag = Image.Exif()
    tag[0x112] = 6
    path = tmp_path / "m"
    path.write_bytes(saved(Image.fromarray(mask), kind, exif=tag))
    channel = Channel(path, {200: Saturation(1.0, relative=True)})
    np.testing.assert_array_equal(read_region(channel, SHAPE).mask, mask > 0)
    turned = replace(channel, reading=reading(orientation="apply"))
    np.testing.assert_array_equal(read_region(turned, SHAPE[::-1]).mask, np.rot90(mask, -1) > 0)
    with pytest.raises(BadFileError, match=r"turned\? See data\.orientation"):
        read_region(turned, SHAPE)


def test_colours_by_their_profile_or_as_stored(tmp_path):
    content = files.swapped_profile()
    stored = np.asarray(RGB)
    np.testing.assert_array_equal(pixels(tmp_path, content, Reading()), stored)
    seen = pixels(tmp_path, content, reading(profile="apply")).astype(int)
    assert abs(seen - stored[..., ::-1]).max() <= 1
    broken = saved(RGB, icc_profile=bytes(300))
    np.testing.assert_array_equal(pixels(tmp_path, broken, Reading()), stored)
    with pytest.raises(BadFileError, match=r"data\.profile = 'ignore'") as told:
        pixels(tmp_path, broken, reading(profile="apply"))
    assert told.value.reason == "colours"


def test_the_pixel_limit_is_a_knob_whatever_was_remembered(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(saved(RGB))
    known = KnownImages(None)
    assert facts_of(path, known, Reading()).size == SHAPE
    with pytest.raises(BadFileError, match=r"most-megapixels = 0\.0004 .*most-megapixels\)"):
        facts_of(path, known, reading(most_megapixels=0.0004))


def test_a_picture_beyond_pillows_own_limit_is_read_if_the_site_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = saved(RGB)
    with pytest.raises(BadFileError, match="400"):
        pixels(tmp_path, content, Reading(most_pixels=400))
    assert pixels(tmp_path, content, Reading(most_pixels=480)).shape == (*SHAPE, 3)


def test_what_is_read_otherwise_is_cached_and_remembered_apart(tmp_path):
    cache, mark = Cache(tmp_path, 10**6), Fingerprint("b", "w", "l", "g", 3, 32, "t")
    knobs = [{}, {"bits": 12}, {"bits": 0}, {"orientation": "apply"}, {"profile": "apply"}]
    places = {cache.place(mark, b"image", reading(**how).mark) for how in knobs}
    assert len(places) == len(knobs)
    assert cache.place(mark, b"image") == cache.place(mark, b"image", reading().mark)
    assert reading(most_megapixels=80.0).mark == ""
    path = tmp_path / "x.png"
    path.write_bytes(deep_png(drawn(12), 0))
    known = KnownImages(tmp_path / "looks.jsonl")
    notes = [facts_of(path, known, reading(bits=bits)).notes for bits in (16, 12)]
    known.save()
    again = KnownImages(tmp_path / "looks.jsonl")
    assert [facts_of(path, again, reading(bits=bits)).notes for bits in (16, 12)] == notes
    assert not again.new
    assert notes[0] != notes[1]


def _rgb(values: np.ndarray) -> np.ndarray:
    return values[..., None] if values.ndim == 2 else values


def test_a_tiff_is_not_taken_from_a_cache_of_turned_ones(tmp_path):
    """Earlier versions let Pillow turn TIFF, and kept its features by the file's bytes alone."""
    cache, mark = Cache(tmp_path, 10**6), Fingerprint("b", "w", "l", "g", 3, 32, "t")
    content = io.BytesIO()
    RGB.save(content, "TIFF")
    name = cache.place(mark, content.getvalue()).stem
    assert name != cache.place(mark, content.getvalue() + b" as stored", "x").stem
    assert hashlib.sha256(content.getvalue()).hexdigest()[2:] != name


def test_maps_of_turned_pictures_are_evaluated_by_the_same_knob(tmp_path):
    root, maps = draw_plant(tmp_path / "plant"), tmp_path / "maps"
    tag = Image.Exif()
    tag[0x112] = 6
    for path in sorted(
        [*root.glob("bolt/test/*/*.png"), *root.glob("bolt/ground_truth/*/*/*.png")]
    ):
        path.write_bytes(saved(Image.open(path).copy(), exif=tag))
    rng = np.random.default_rng(0)
    for path in root.glob("bolt/test/*/*.png"):
        place = maps / path.relative_to(root).with_suffix(".npy")
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, rng.random(SHAPE[::-1]).astype(np.float32))
    with pytest.raises(DataError, match="the map is 20 x 24, its image 24 x 20"):
        evaluate(root, maps, replicates=0)
    found = evaluate(root, maps, replicates=0, reading=reading(orientation="apply"))
    assert found.report["data_set"] == "autovi"
