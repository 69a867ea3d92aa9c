"""Folders of one's own pictures: what each picture is, whichever way people lay them out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fedad.config import DataKnobs, read
from fedad.datasets.base import check_trainable, open_dataset, open_folder, pictures
from fedad.errors import ConfigError, DataError
from fedad.images.pixels import read_region
from fedad.partition import partition
from tests.datasets.drawn import SIZE, pixels, save


def lay(root: Path, *places: str) -> Path:
    """Pictures at these places; `3*good/a` is three of them."""
    for number, place in enumerate(places):
        count, _, name = place.rpartition("*")
        for k in range(int(count or 1)):
            file = f"{name}{k:02d}.jpg" if count else name
            save(root / file, pixels(np.random.default_rng([number, k])))
    return root


def mask(path: Path, value: int = 255) -> None:
    levels = np.zeros(SIZE, np.uint8)
    levels[3:9, 4:9] = value
    save(path, levels)


def said(data) -> dict[str, tuple[str, str]]:
    """A picture's place -> (split, defect)."""
    return {
        one.path.relative_to(data.root).as_posix(): (one.split, one.defect) for one in data.samples
    }


def counts(data) -> Counter:
    return Counter((one.category, one.split, one.defect) for one in data.samples)


SPELLED = [
    ("good", "bad"),
    ("OK", "NG"),
    ("Ok", "Nok"),
    ("normal", "anomaly"),
    ("Good Parts", "Bad_Parts"),
    ("i.O.", "n.i.O."),
    ("gut", "Ausschuss"),
    ("01_good", "02_defect"),
    ("defect-free", "defective"),
    ("PASS", "FAIL"),
    ("not defective", "not good"),
    ("good", "scratch"),
]


@pytest.mark.parametrize(("good", "bad"), SPELLED, ids=lambda word: word)
def test_good_and_bad_however_they_are_spelled(good, bad, tmp_path):
    root = lay(tmp_path / "plate", f"10*{good}/a", f"4*{bad}/b")
    data = open_folder(root)
    assert data.name == "folder"
    assert counts(data) == {
        ("plate", "train", "good"): 6,
        ("plate", "test", "good"): 4,
        ("plate", "test", bad): 4,
    }
    assert {one.masks for one in data.samples if not one.is_good} == {None}
    assert [fault.reason for fault in data.faults] == ["no-mask"]
    assert "not known" in data.licence


def test_the_last_by_name_are_judged_and_at_most_half(tmp_path):
    data = open_folder(lay(tmp_path / "plate", "5*good/a", "9*bad/b"))
    good = {place: split for place, (split, defect) in said(data).items() if defect == "good"}
    assert good == {f"good/a{k:02d}.jpg": "train" if k < 3 else "test" for k in range(5)}


def test_only_good_images_are_all_learned(tmp_path):
    for root in (
        lay(tmp_path / "plate", "6*a"),
        lay(tmp_path / "nut", "3*2024-01-05/a", "2*lot 7/b"),
    ):
        data = open_folder(root)
        assert {one.split for one in data.samples} == {"train"}
        assert data.categories == (root.name,)
        check_trainable(data)
        names = [one.name for one in data.samples]
        assert len({*names}) == len(names)


def test_one_file_is_a_data_set(tmp_path):
    lay(tmp_path / "plate", "part.jpg")
    data = open_folder(tmp_path / "plate" / "part.jpg")
    assert [one.name for one in data.samples] == ["plate/train/good/part"]


TREES = {
    "nested defects": (
        ["4*good/a", "bad/scratch/b.jpg", "bad/dent/b.jpg", "bad/c.jpg"],
        {"scratch": 1, "dent": 1, "bad": 1},
    ),
    "unknown folders beside good": (
        ["4*good/a", "scratch/b.jpg", "2*dent/b"],
        {"scratch": 1, "dent": 2},
    ),
    "batches inside": (["2*good/lot1/a", "2*good/lot2/a", "bad/lot1/b.jpg"], {"bad": 1}),
    "batches outside": (["2*batch1/OK/a", "2*batch2/OK/a", "batch2/NG/b.jpg"], {"NG": 1}),
    "days outside": (
        ["2*2024-01-05/good/a", "2*2024-01-06/good/a", "2024-01-06/bad/b.jpg"],
        {"bad": 1},
    ),
    "a batch of nothing but bad parts": (["4*batch_01/OK/a", "2*batch_02/NG/b"], {"NG": 2}),
    "a split outside": (["4*train/good/a", "test/good/g.jpg", "test/crack/b.jpg"], {"crack": 1}),
    "a split in capitals": (["4*Train/OK/a", "Test/OK/g.jpg", "Test/NG/b.jpg"], {"NG": 1}),
    "a split inside": (["4*good/train/a", "good/test/g.jpg", "bad/test/b.jpg"], {"bad": 1}),
    "train without good": (["4*train/a", "test/good/g.jpg", "test/bad/b.jpg"], {"bad": 1}),
    "images in a folder": (["4*images/good/a", "images/bad/b.jpg"], {"bad": 1}),
}


@pytest.mark.parametrize("name", TREES)
def test_one_product_in_folders_of_any_depth(name, tmp_path):
    places, defects = TREES[name]
    data = open_folder(lay(tmp_path / "plate", *places))
    assert data.categories == ("plate",)
    assert Counter(one.defect for one in data.samples if not one.is_good) == defects
    assert {one.split for one in data.samples if not one.is_good} == {"test"}
    assert any(one.split == "train" for one in data.samples)
    names = [one.name for one in data.samples]
    assert len({*names}) == len(names)
    assert not [one for one in data.unused if one.path.suffix == ".jpg"]


@pytest.mark.parametrize("split_first", [False, True])
def test_folders_around_good_are_products(split_first, tmp_path):
    if split_first:
        places = ["4*train/clip/good/a", "test/clip/NG/b.jpg", "3*train/nut/good/a"]
    else:
        places = ["4*clip/good/a", "clip/NG/b.jpg", "3*nut/good/a"]
    data = open_folder(lay(tmp_path / "parts", *places))
    assert data.categories == ("clip", "nut")
    chosen = open_folder(tmp_path / "parts", categories=("nut",))
    assert counts(chosen) == {("nut", "train", "good"): 3}
    if not split_first:
        assert data.folders["clip"] == tmp_path / "parts" / "clip"


def test_a_flat_folder_may_be_given_its_products_name(tmp_path):
    root = lay(tmp_path / "line 3", "4*good/a", "bad/b.jpg")
    data = open_folder(root, categories=("plate",))
    assert data.categories == ("plate",)
    assert "is called plate" in data.notes[-1]


def test_defects_that_nobody_calls_so_are_not_learned_as_good(tmp_path):
    lay(tmp_path / "plate", "4*first/a", "2*second/b")
    with pytest.raises(DataError, match="found 4 images in first, 2 images in second: rename"):
        open_folder(tmp_path / "plate")
    lay(tmp_path / "bad", "3*a")
    with pytest.raises(DataError, match="no folder is called good"):
        open_folder(tmp_path / "bad")
    lay(tmp_path / "nut", "3*NG/a")
    with pytest.raises(DataError, match=r"no good training image.*3 in test/NG"):
        check_trainable(open_folder(tmp_path / "nut"))


def test_pictures_of_which_nothing_is_said_are_named(tmp_path):
    root = lay(tmp_path / "plate", "4*good/a", "2*bad/b", "loose.jpg", "test/which.jpg")
    data = open_folder(root)
    assert {path.name for path, _ in data.unused} == {"loose.jpg", "which.jpg"}
    assert "unread" in {fault.reason for fault in data.faults}


@pytest.mark.parametrize(
    "place",
    [
        "bad/b_mask.png",
        "bad/b-mask.png",
        "ground_truth/b.png",
        "ground_truth/bad/b.png",
        "ground_truth/bad/b_mask.png",
        "masks/b.png",
        "Masks/bad/b_mask.png",
        "bad/masks/b.png",
        "gt/bad/b/000.png",
        "bad/ground truth/b.png",
    ],
)
def test_masks_are_found_and_are_no_images(place, tmp_path):
    root = lay(tmp_path / "plate", "4*good/a", "bad/b.jpg", "bad/c.jpg")
    mask(root / place)
    data = open_folder(root)
    found = {one.path.name: one.masks for one in data.samples if not one.is_good}
    assert set(found) == {"b.jpg", "c.jpg"}
    assert found["c.jpg"] is None
    (channel,) = found["b.jpg"]
    region = read_region(channel, SIZE)
    assert np.count_nonzero(region.mask) == region.saturation == 30


def test_a_mask_that_fits_two_images_is_of_neither(tmp_path):
    root = lay(tmp_path / "plate", "4*good/a", "scratch/b.jpg", "dent/b.jpg")
    mask(root / "masks" / "b.png")
    data = open_folder(root)
    assert {one.masks for one in data.samples if not one.is_good} == {None}
    assert {"spare-mask", "no-mask"} == {fault.reason for fault in data.faults}
    mask(root / "masks" / "dent" / "b.png")
    found = {one.defect: one.masks for one in open_folder(root).samples if not one.is_good}
    assert [channel.path.parent.name for channel in found["dent"]] == ["dent"]


TABLES = {
    "path,label": ("a/%02d.jpg,good", "a/%02d.jpg,scratch"),
    "filename;class": ("%02d.jpg;0", "%02d.jpg;1"),
    "Image\tResult": ("a\\%02d.jpg\tOK", "a\\%02d.jpg\tNG"),
    "file,defect,split": ("%02d,normal,train", "%02d,crack,test"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("head", TABLES)
def test_a_table_says_more_than_folders(head, encoding, tmp_path):
    root = lay(tmp_path / "plate", "10*a/")
    good, bad = TABLES[head]
    rows = [head, "", *(good % k for k in range(7)), *(bad % k for k in range(7, 10))]
    (root / "protocol.csv").write_bytes("\r\n".join(rows).encode(encoding))
    data = open_folder(root)
    assert Counter(one.is_good for one in data.samples) == {True: 7, False: 3}
    assert all(one.is_good == (int(one.path.stem) < 7) for one in data.samples)
    assert "says of 10 images" in " ".join(data.notes)


def test_pictures_that_a_table_leaves_out_are_named(tmp_path):
    root = lay(tmp_path / "plate", "4*a")
    (root / "list.csv").write_text("file,label\na00.jpg,ok\na01.jpg,ok\n")
    data = open_folder(root)
    assert len(data.samples) == 2
    assert {path.name for path, why in data.unused if "good" in why} == {"a02.jpg", "a03.jpg"}


def test_names_keep_their_ending_where_two_share_a_stem(tmp_path):
    root = lay(tmp_path / "plate", "good/part.jpg", "good/other.jpg")
    save(root / "good" / "part.png", pixels(np.random.default_rng(3)))
    assert {one.file for one in open_folder(root).samples} == {"part.jpg", "part.png", "other"}


def test_all_pictures_are_judged_but_masks_and_what_fedad_wrote(tmp_path):
    root = lay(tmp_path / "new", "2*good/a", "bad/b.jpg", "loose.jpg", ".Trash/old.jpg", "._x.jpg")
    mask(root / "bad" / "b_mask.png")
    (root / "maps" / "good").mkdir(parents=True)
    (root / "maps" / "scores.csv").write_text("image,category,score\n")
    save(root / "maps" / "good" / "a00.png", pixels(np.random.default_rng(3)))
    (root / "x.webp").write_bytes(b"x")
    data = pictures(root)
    assert [one.file for one in data.samples] == ["bad/b", "good/a00", "good/a01", "loose"]
    told = {path.relative_to(root).as_posix() for path, _ in data.unused}
    assert told >= {"maps", "bad/b_mask.png", "x.webp", "._x.jpg"}
    with pytest.raises(DataError, match="fedad wrote this folder"):
        pictures(root / "maps")
    assert [one.file for one in pictures(root / "loose.jpg").samples] == ["loose"]


def test_sites_of_a_flat_folder_come_from_its_table(tmp_path):
    root = lay(tmp_path / "plate", "4*good/a", "2*bad/b")
    data = open_folder(root)
    rows = [f"{place};{'lyon' if k % 2 else 'graz'}" for k, place in enumerate(said(data))]
    (root / "sites.csv").write_text("file;site\n" + "\n".join(rows))
    sites = partition(open_folder(root), DataKnobs(), seed=0)
    assert [site.name for site in sites] == ["graz", "lyon"]


def test_a_folder_without_pictures_says_what_is_there(tmp_path):
    (tmp_path / "plate").mkdir()
    for name in ("a.webp", "b.webp", "notes.txt"):
        (tmp_path / "plate" / name).write_text("x")
    with pytest.raises(DataError, match=r"found 2 of \.webp, 1 of \.txt"):
        open_folder(tmp_path / "plate")
    with pytest.raises(DataError, match="no such folder, and no such file"):
        open_folder(tmp_path / "gone")


def test_several_folders_are_one_data_set(tmp_path):
    for name in ("clip", "nut, left"):
        lay(tmp_path / name, "4*good/a", "bad/b.jpg")
    knobs = {"data.dataset": "auto", "data.dir": f"{tmp_path / 'clip'}, {tmp_path / 'nut, left'}"}
    with pytest.raises(ConfigError, match="expected the absolute path"):
        open_dataset(read(knobs).data)  # a list cannot name a folder with a comma
    (tmp_path / "nut, left").rename(tmp_path / "nut")
    knobs["data.dir"] = f"{tmp_path / 'clip'}, {tmp_path / 'nut'}"
    data = open_dataset(read(knobs).data)
    assert data.categories == ("clip", "nut")
    assert open_dataset(read({**knobs, "data.categories": "nut"}).data).categories == ("nut",)


@pytest.mark.parametrize(
    ("good", "bad"), [("良品", "不良"), ("Conforme", "Non conforme"), ("unbroken", "NG")]
)
def test_good_and_bad_in_other_languages(good, bad, tmp_path):
    for name in (good, bad):
        save(tmp_path / "parts" / name / "a.png", pixels(np.random.default_rng(0)))
    found = {one.path.parent.name: one.is_good for one in open_folder(tmp_path / "parts").samples}
    assert found == {good: True, bad: False}


def test_a_file_that_is_no_image_and_masks_alone_are_no_data_set(tmp_path):
    archive = tmp_path / "bottle.zip"
    archive.write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match="expected a folder, or an image"):
        open_folder(archive)
    for number in range(2):
        save(tmp_path / "masks" / "gt" / f"{number}.png", pixels(np.random.default_rng(0)))
    with pytest.raises(DataError, match="no image in it that is used"):
        open_folder(tmp_path / "masks")
