"""Trees as people really leave them: around, beside and below what a layout has places for."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from fedad.datasets._place import unreadable
from fedad.datasets.base import open_folder, pictures
from fedad.errors import DataError
from tests.datasets import drawn
from tests.datasets.drawn import PRODUCTS, draw, pixels, save
from tests.users import ordinary_user

LAYOUTS = dict(drawn.layouts())


def put(path, seed: int = 0) -> None:
    save(path, pixels(np.random.default_rng(seed)))


def told(data) -> dict[str, str]:
    return {str(path.relative_to(data.root)): why for path, why in data.unused}


def test_a_folder_of_several_data_sets_is_refused_and_each_is_named(tmp_path):
    for name in ("mvtec_loco", "visa"):
        draw(LAYOUTS[name], tmp_path / f"all/{name} here")
    with pytest.raises(DataError, match=r"several data sets, .*loco here \(mvtec_loco\) and"):
        open_folder(tmp_path / "all")
    shutil.rmtree(tmp_path / "all/visa here")
    assert open_folder(tmp_path / "all").name == "mvtec_loco"


def test_what_lies_beside_the_way_to_the_products_is_named(tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path / "all/set")
    for place in ("own/good/a.png", "own/bad/b.png", "notes/a.png", "__MACOSX/set/._a.png"):
        put(tmp_path / "all" / place)
    (tmp_path / "all/LICENSE").write_text("mine")
    (tmp_path / "all/back").symlink_to(tmp_path / "all")
    (tmp_path / "all/gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "all/itself").symlink_to("itself")
    data = open_folder(tmp_path / "all")
    assert data.categories == PRODUCTS
    found = {path.name: why for path, why in data.unused}
    assert found["own"] == "no product's folder, with 2 images"
    assert found["notes"] == "no product's folder, with 1 images"
    assert "link back" in found["back"]
    assert "leads nowhere" in found["gone"]
    assert "leads nowhere" in found["itself"]
    assert "__MACOSX" not in found
    assert "LICENSE" in data.licence


@pytest.mark.parametrize("name", ["mvtec_ad", "mvtec_ad_2", "btad", "visa"])
def test_folders_of_batches_change_nothing_but_an_images_name(name, tmp_path):
    """Also where numbers start anew in each: a mask is of the image of its batch."""
    tree = draw(LAYOUTS[name], tmp_path / "data")
    first = open_folder(tree.root)
    for sample in first.samples:
        if sample.split == "test" and sample.masks:
            for path in (sample.path, *(channel.path for channel in sample.masks)):
                for batch in ("batch_1", "2024-01-05"):
                    (path.parent / batch).mkdir(exist_ok=True)
                    shutil.copy(path, path.parent / batch / path.name)
                path.unlink()
    for table in tree.root.rglob("split_csv/*.csv"):
        rows = table.read_text().splitlines()
        bad = [row for row in rows if "Anomaly" in row]
        deep = [
            row.replace("Anomaly/", f"Anomaly/{b}/")
            for row in bad
            for b in ("batch_1", "2024-01-05")
        ]
        table.write_text("\n".join([*(row for row in rows if row not in bad), *deep]))
    data = open_folder(tree.root)
    bad = [one for one in data.samples if not one.is_good]
    assert data.name == first.name
    assert len(bad) == 2 * sum(not one.is_good for one in first.samples)
    for one in bad:
        assert one.file == f"{one.path.parent.name}/{one.path.stem}"
        assert {channel.path.parent.name for channel in one.masks} == {one.path.parent.name}


def test_one_mask_is_of_neither_of_two_batches(tmp_path):
    root = draw(LAYOUTS["mvtec_ad"], tmp_path / "data").root
    cut = root / PRODUCTS[0] / "test" / "cut"
    for batch in ("batch_1", "batch_2"):
        put(cut / batch / "000.png")
    put(cut / "batch_1" / "777.png")
    shutil.copy(
        root / PRODUCTS[0] / "ground_truth/cut/001_mask.png",
        root / PRODUCTS[0] / "ground_truth/cut/777_mask.png",
    )
    found = {
        one.file: one.masks for one in open_folder(root).samples if one.path.is_relative_to(cut)
    }
    assert found["000"]
    assert found["batch_1/777"]
    assert found["batch_1/000"] is found["batch_2/000"] is None


def test_images_that_nobody_judged_are_of_no_defect(tmp_path):
    tree = draw(LAYOUTS["mvtec_ad_2"], tmp_path / "data")
    for product in PRODUCTS:
        shutil.rmtree(tree.root / product / "test_public")
    data = open_folder(tree.root)
    assert data.name == "mvtec_ad_2"
    assert all(one.is_good for one in data.samples)
    assert sum("private" in why for why in told(data).values()) == tree.aside
    for place in ("good/a.png", "good/b.png", "unlabelled/c.png", "test_private/d.png"):
        put(tmp_path / "own" / place)
    data = open_folder(tmp_path / "own")
    assert {one.path.name for one in data.samples} == {"a.png", "b.png"}
    assert {*told(data)} == {"unlabelled/c.png", "test_private/d.png"}


def test_links_that_lead_back_or_nowhere_are_named(tmp_path):
    for place in ("plate/good/a.png", "plate/good/b.png", "plate/bad/c.png"):
        put(tmp_path / place)
    (tmp_path / "plate/good/up").symlink_to("..")
    (tmp_path / "plate/good/itself").symlink_to("itself")
    (tmp_path / "plate/bad/gone").symlink_to("nowhere")
    data = open_folder(tmp_path / "plate")
    assert len(data.samples) == 3
    assert told(data) == {
        "good/up": "a link back to a folder above it",
        "good/itself": "a link that leads nowhere",
        "bad/gone": "a link that leads nowhere",
    }
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop/good").symlink_to("bad")
    (tmp_path / "loop/bad").symlink_to("good")
    with pytest.raises(DataError, match="found 2 links that lead nowhere"):
        open_folder(tmp_path / "loop")


@pytest.mark.parametrize("read", [open_folder, pictures])
def test_what_is_there_is_said_of_what_cannot_be_read(read, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="link: it is a link that leads nowhere"):
        read(tmp_path / "link")
    with pytest.raises(DataError, match="expected a folder or an image, this is neither"):
        read(tmp_path / "pipe.png")


@pytest.mark.parametrize("closed", ["", "clip", "clip/train/good", "clip/ground_truth"])
def test_a_folder_that_may_not_be_read_is_named_and_not_what_was_looked_for_in_it(
    closed, public_path
):
    root = draw(LAYOUTS["mvtec_ad"], public_path / "data").root
    (root / closed).chmod(0)
    try:
        with (
            ordinary_user(),
            pytest.raises(DataError, match=rf"'{root / closed}' cannot be read \(Permission"),
        ):
            open_folder(root)
    finally:
        (root / closed).chmod(0o755)


def test_a_disk_that_fails_without_a_name_is_told_by_the_folder(tmp_path):
    text = str(unreadable(tmp_path, OSError(5, "Input/output error")))
    assert text == f"{tmp_path}: '{tmp_path}' cannot be read (Input/output error)"


def test_masks_of_other_formats_are_named_as_such(tmp_path):
    root = draw(LAYOUTS["mvtec_ad"], tmp_path / "data").root
    truth = root / PRODUCTS[0] / "ground_truth" / "cut"
    for number, ending in enumerate((".npy", ".webp", ".json")):
        (truth / f"{number:03d}_mask.png").rename(truth / f"{number:03d}_mask{ending}")
    data = open_folder(root)
    why = {path.suffix: text for path, text in data.unused if path.parent == truth}
    assert "no format that is read" in why[".npy"]
    assert "no format that is read" in why[".webp"]
    assert why[".json"] == "no image"
    (fault,) = (one for one in data.faults if one.reason == "unread")
    assert fault.text.startswith(f"{PRODUCTS[0]}: 2 images are")


def mask(path, *, marks: bool = True) -> None:
    levels = np.zeros(drawn.SIZE, np.uint8)
    levels[4:9, 4:12] = 255 * marks
    save(path, levels)


def test_masks_that_are_called_as_their_jpeg_is_are_no_pictures(tmp_path):
    for k in range(4):
        put(tmp_path / f"jack/OK/S{k}/a{k}.jpg", k)
        put(tmp_path / f"jack/NG/pit/b{k}.jpg", 9 + k)
        mask(tmp_path / f"jack/NG/pit/b{k}.png")
    data = open_folder(tmp_path / "jack")
    assert {one.defect: len(one.masks) for one in data.samples} == {"good": 0, "pit": 1}
    assert len(data.samples) == 8
    assert not data.unused
    assert len(pictures(tmp_path / "jack").samples) == 8
    put(tmp_path / "jack/NG/pit/b0.png")  # another picture: then none of the folder is a mask
    assert len(open_folder(tmp_path / "jack").samples) == 12


@pytest.mark.parametrize("masks", ["Label/{}_label.PNG", "{}_mask.png", "{}.png", "masks/{}.bmp"])
@pytest.mark.parametrize("split", ["Train", "images", "."])
def test_pictures_with_a_mask_are_not_learned_as_good_ones(split, masks, tmp_path):
    folder = tmp_path / "Class1" / split
    for k in range(6):
        put(folder / f"{k:04d}.jpg", k)
    for k in (1, 4):
        mask(folder / masks.format(f"{k:04d}"))
    data = open_folder(tmp_path / "Class1")
    assert data.categories == ("Class1",)
    bad = {f"{k:04d}.jpg" for k in (1, 4)}
    assert bad.isdisjoint(one.path.name for one in data.samples if one.is_good)
    if split == "Train":
        assert {path.name for path, why in data.unused if "a defect among" in why} == bad
    else:
        assert {one.path.name for one in data.samples if not one.is_good} == bad
        assert all(one.masks for one in data.samples if not one.is_good)
