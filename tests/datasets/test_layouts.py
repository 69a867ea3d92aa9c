"""What every data set's reader promises, on a tree that is drawn from its own `Layout`."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.config import Config
from fedad.datasets.auto import recognise
from fedad.datasets.base import open_folder
from fedad.datasets.join import joined
from fedad.errors import DataError
from fedad.images.pixels import image_size, read_region
from fedad.images.usable import survey
from fedad.plugins import names, plugin
from fedad.types import GOOD, Site
from tests.datasets import drawn
from tests.datasets.drawn import BAD, PRODUCTS, SIZE, TRAIN, defects, draw, product_names, save

LAYOUTS = dict(drawn.layouts())


@pytest.fixture(params=LAYOUTS)
def tree(request, tmp_path):
    return draw(LAYOUTS[request.param], tmp_path / "data")


def test_every_data_set_is_there_and_says_its_tree_and_licence():
    assert {layout.name for layout in LAYOUTS.values()} >= {
        *("autovi", "mvtec_ad", "mvtec_loco", "btad", "visa", "mpdd", "mvtec_ad_2", "texture_ad")
    }
    for name in {*names("datasets")} - {"auto", "synthetic"}:
        module = __import__(f"fedad.datasets.{name}", fromlist=[name])
        assert "/" in module.__doc__, name
        assert "Licence" in module.__doc__, name


def test_counts_are_those_on_disk(tree):
    data = plugin("datasets", tree.layout.name)(tree.root)
    count = Counter((one.category, one.split, one.defect) for one in data.samples)
    expected = {}
    for category in product_names(tree.layout):
        expected[category, "train", GOOD] = TRAIN
        expected[category, "test", GOOD] = drawn.GOOD
        if "{split}" in tree.layout.image:
            expected[category, "validation", GOOD] = drawn.VALIDATION
        expected |= {(category, "test", defect): BAD for defect in defects(tree.layout)}
    assert count == expected
    aside = [one for one in data.unused if "split" in one.why]
    assert len(aside) == tree.aside
    assert {fault.reason for fault in data.faults} == ({"aside"} if tree.aside else set())


def test_names_are_unique_and_in_order(tree):
    data = plugin("datasets", tree.layout.name)(tree.root)
    found = [one.name for one in data.samples]
    assert len({*found}) == len(found)
    assert found == sorted(found, key=lambda name: (name.split("/")[0], found.index(name)))
    assert len({one.path for one in data.samples}) == len(found)


def test_good_images_have_no_mask_and_the_others_have_theirs(tree):
    """Each mask is of its image's size, and has the region that was drawn."""
    data = plugin("datasets", tree.layout.name)(tree.root)
    for one in data.samples:
        if one.is_good:
            assert one.masks == ()
            continue
        channels = 2 if tree.layout.masks.place.endswith("/*") else 1
        assert len(one.masks) == channels
        for channel in one.masks:
            assert channel.path.is_relative_to(tree.root)
            region = read_region(channel, image_size(one.path))
            assert region.mask.shape == SIZE
            share = 0.5 if channel.values == "listed" else 1
            assert region.saturation == int(share * np.count_nonzero(region.mask))


def test_kinds_are_told_by_the_folders(tree):
    data = plugin("datasets", tree.layout.name)(tree.root)
    for one in data.samples:
        assert one.kind == tree.layout.kinds.get(one.defect, "")


def test_the_layout_is_recognised_whichever_folder_is_named(tree):
    """The data set's folder, the one around it, the one inside its archive's, and a product's."""
    if not tree.layout.signs:  # Texture-AD's is recognised by its mapping
        (tree.root / "texture_ad.yaml").write_text("train: train\n")
    inside = tree.root / tree.layout.inside
    places = [tree.root, inside]
    if tree.layout.signs:
        places.append(tree.root.parent)
    for place in places:
        found = recognise(place)
        assert found.name == tree.layout.name, found.why
        assert found.why
        data = open_folder(place)
        assert data.categories == tuple(product_names(tree.layout))
        assert data.notes[0].startswith(f"read as {tree.layout.name}: ")
    if tree.layout.levels == 1:
        alone = open_folder(inside / PRODUCTS[0])
        assert alone.name == tree.layout.name
        assert alone.categories == PRODUCTS[:1]


def test_a_layout_says_nothing_of_whose_pictures_they_are(tree):
    """Only the products that a data set was published with, or a file, have its licence."""
    data = plugin("datasets", tree.layout.name)(tree.root)
    if tree.layout.products:
        assert "not known" in data.licence
        assert "CC BY" not in data.licence
        inside = tree.root / tree.layout.inside
        for own, known in zip(PRODUCTS, tree.layout.products, strict=False):
            (inside / own).rename(inside / known)
            for table in [inside / tree.layout.table] if tree.layout.table else []:
                table.write_text(table.read_text().replace(own, known))
        assert tree.layout.licence in plugin("datasets", tree.layout.name)(tree.root).licence
    (tree.root / tree.layout.inside / "LICENSE.txt").write_text("mine")
    assert "LICENSE.txt" in plugin("datasets", tree.layout.name)(tree.root).licence


def test_what_lies_about_is_named_or_hidden(tree):
    """No picture is left out in silence, and nothing that a system left is read."""
    first = plugin("datasets", tree.layout.name)(tree.root)
    sample = first.samples[0]
    folder = sample.path.parent
    for junk in ("._a.png", ".Trash/old.png", "Thumbs.db", "__MACOSX/x.png", "@eaDir/y.jpg"):
        save(folder / junk, np.zeros((4, 4), np.uint8)) if junk.endswith("g") else (
            folder / junk
        ).write_bytes(b"x")
    for lost in ("lost.webp", "deeper/lost.png", "lost.heic"):
        (folder / lost).parent.mkdir(exist_ok=True)
        (folder / lost).write_bytes(b"x")
    data = plugin("datasets", tree.layout.name)(tree.root)
    assert [one.name for one in data.samples] == [one.name for one in first.samples]
    told = {str(one.path.relative_to(folder)) for one in data.unused if folder in one.path.parents}
    assert told >= {"lost.webp", "deeper/lost.png", "lost.heic", "._a.png"}
    assert not told & {"Thumbs.db", "__MACOSX/x.png", "@eaDir/y.jpg", ".Trash/old.png"}
    assert {"unread", "hidden"} <= {fault.reason for fault in data.faults}


def data_root(tree) -> Path:
    return tree.root / tree.layout.inside


def test_two_files_of_one_stem_are_two_images(tree):
    sample = plugin("datasets", tree.layout.name)(tree.root).samples[0]
    twin = sample.path.with_suffix(".tif")
    Image.open(sample.path).save(twin)
    for table in tree.root.rglob("split_csv/*.csv"):
        place = sample.path.relative_to(data_root(tree)).as_posix()
        row = next(line for line in table.read_text().split("\n") if place in line)
        table.write_text(table.read_text() + row.replace(sample.path.suffix, ".tif") + "\n")
    data = plugin("datasets", tree.layout.name)(tree.root)
    twins = {one.name for one in data.samples if one.path.stem == sample.path.stem}
    of = [one for one in data.samples if one.path in (sample.path, twin)]
    assert {one.file for one in of} == {sample.path.name, twin.name}
    assert len(twins) == sum(one.path.stem == sample.path.stem for one in data.samples)


def test_what_is_drawn_can_be_used(tree):
    data = plugin("datasets", tree.layout.name)(tree.root)
    train = tuple(one for one in data.samples if one.split == "train")
    test = tuple(one for one in data.samples if one.split == "test")
    faults = survey(Config(), Site("lyon", train, test)).faults
    assert not [fault.text for fault in faults if fault.skipped]


HALF = ["autovi", "mvtec_loco", "mvtec_ad", "btad"]


@pytest.mark.parametrize("manner", ["{defect}/{stem}_mask", "{defect}/{stem}", "{defect}/{stem}/0"])
@pytest.mark.parametrize("name", HALF)
def test_masks_in_another_manner_are_read(name, manner, tmp_path):
    """Of a set that somebody converted by half."""
    tree = draw(LAYOUTS[name], tmp_path / "data", channels=1)
    base = tree.root / tree.layout.inside
    for product in PRODUCTS:
        masks = [*(base / product / "ground_truth").rglob("*.png")]
        for mask in masks:
            parts = mask.relative_to(base / product / "ground_truth").parts
            stem = (parts[1] if len(parts) == 3 else mask.stem).removesuffix("_mask")
            place = base / product / "ground_truth" / manner.format(defect=parts[0], stem=stem)
            to = place.with_name(f"{place.name}.png")
            to.parent.mkdir(parents=True, exist_ok=True)
            if mask != to:
                shutil.move(mask, to)
    data = plugin("datasets", name)(tree.root)
    assert all(len(one.masks) == 1 for one in data.samples if not one.is_good)
    assert not data.faults or {fault.reason for fault in data.faults} == {"aside"}


def test_a_configuration_that_is_missing_is_called_missing(tmp_path):
    tree = draw(LAYOUTS["autovi"], tmp_path)
    (tmp_path / "clip" / "defects_config.json").unlink()
    data = open_folder(tmp_path, "autovi")
    (fault,) = (fault for fault in data.faults if fault.reason == "no-config")
    assert fault.text.startswith(f"clip: {tmp_path}/clip/defects_config.json is missing")
    channels = [one.masks[0] for one in data.samples if one.category == "clip" and one.masks]
    assert {channel.values for channel in channels} == {"any"}
    assert tree


def test_an_other_word_for_good_is_no_defect(tmp_path):
    """BTAD's tree, read as another: good images were counted as defects."""
    draw(LAYOUTS["btad"], tmp_path)
    for name in ("autovi", "mvtec_ad", "mvtec_loco"):
        with pytest.raises(DataError, match=r"would be one of a defect.*data\.dataset = 'auto'"):
            open_folder(tmp_path, name)


@pytest.mark.parametrize("word", ["Good", "normal", "OK"])
def test_a_tree_with_other_words_is_read_by_its_words(word, tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path / "data")
    for place in [*(tmp_path / "data").rglob("good")]:
        place.rename(place.with_name(word))
    data = open_folder(tmp_path / "data")
    assert data.name == "folder"
    assert Counter((one.split, one.is_good) for one in data.samples) == {
        ("train", True): 2 * TRAIN,
        ("validation", True): 2 * drawn.VALIDATION,
        ("test", True): 2 * drawn.GOOD,
        ("test", False): 4 * BAD,
    }
    assert all(len(one.masks) == 1 for one in data.samples if not one.is_good)


def test_masks_beyond_what_images_have_are_named(tree):
    data = plugin("datasets", tree.layout.name)(tree.root)
    mask = next(one.masks[0].path for one in data.samples if one.masks)
    if tree.layout.masks.place.endswith("/*"):
        spare = mask.parent.with_name("999") / mask.name
    else:
        spare = mask.with_name(f"999_mask{mask.suffix}")
    spare.parent.mkdir(exist_ok=True)
    shutil.copy(mask, spare)
    data = plugin("datasets", tree.layout.name)(tree.root)
    assert spare in {path for path, _ in data.unused}
    assert {"spare-mask", "unread"} & {fault.reason for fault in data.faults}


@pytest.mark.parametrize("depth", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_a_binary_mask_may_be_of_any_mode(depth, tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path)
    path = tmp_path / "clip/ground_truth/cut/000_mask.png"
    before = np.asarray(Image.open(path)) > 0
    image = Image.fromarray(before.astype(np.uint8) * 255)
    if depth == "I;16":
        Image.fromarray(before.astype(np.uint16) * 65535).save(path)
    else:
        image.convert(depth).save(path)
    sample = next(one for one in open_folder(tmp_path).samples if one.name == "clip/test/cut/000")
    np.testing.assert_array_equal(read_region(sample.masks[0], SIZE).mask, before)


def test_classes_soft_edges_and_jpeg_do_not_change_what_is_marked(tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path)
    path = tmp_path / "clip/ground_truth/cut/000_mask.png"
    before = np.asarray(Image.open(path)) > 0
    classes = before.astype(np.uint8)
    classes[: SIZE[0] // 2] *= 7
    soft = before * np.uint8(255) + ~before * np.uint8(9)
    for levels in (classes, soft):
        Image.fromarray(levels.astype(np.uint8)).save(path)
        sample = next(
            one for one in open_folder(tmp_path).samples if one.file == "000" and one.masks
        )
        np.testing.assert_array_equal(read_region(sample.masks[0], SIZE).mask, before)


def test_visa_takes_its_split_from_the_table_alone(tmp_path):
    """Labels may be quoted lists, and numbers have three or four digits."""
    tree = draw(LAYOUTS["visa"], tmp_path)
    table = tmp_path / tree.layout.table
    rows = table.read_text().replace("anomaly,", '"scratch, hole",').split("\n")
    table.write_text("\ufeff" + "\r\n".join(rows))
    assert Counter(one.split for one in open_folder(tmp_path).samples) == {"train": 8, "test": 12}
    table.write_text("\n".join(row for row in rows if "/001" not in row))
    data = open_folder(tmp_path)
    lost = [one.path.name for one in data.unused if one.why == "of no split in the table of splits"]
    assert lost == ["001.JPG"] * 4
    table.unlink()
    with pytest.raises(DataError, match=r"1cls\.csv: there is no such file, and nothing else says"):
        open_folder(tmp_path)


def test_a_mapping_says_where_texture_ad_really_is(tmp_path):
    layout = LAYOUTS["texture_ad"]
    draw(layout, tmp_path)
    for product in [*tmp_path.glob("*/*")]:
        (product / "train").rename(product / "training")
        (product / "training" / "good").rename(product / "training" / "fine")
        for split in ("test", "validation"):
            (product / split / "good").rename(product / split / "fine")
    mapping = tmp_path / "texture_ad.yaml"
    mapping.write_text("train: training\ngood: [fine]\n")
    data = open_folder(tmp_path)
    assert data.name == "texture_ad"
    assert Counter((one.split, one.is_good) for one in data.samples)["train", True] == 2 * TRAIN
    assert "Apache-2.0, if these are" in data.licence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trian: x", "no such line .did you mean 'train'"),
        ("image: '{split}/{stem}'", "image: expected {split}, {defect}, {stem} once each"),
        ("good: fine", "good: expected a list"),
        ("good: []", "good: expected at least one"),
        ("train: 7", "train: expected a word, got 7"),
        ("[1, 2]", "no lines such as"),
        ("product: a/b", "product: expected fields such as"),
        ("a: [", "no mapping"),
    ],
)
def test_a_mapping_that_is_none_is_refused(text, says, tmp_path):
    (tmp_path / "texture_ad.yaml").write_text(text)
    with pytest.raises(DataError, match=says.replace("{", r"\{")) as refused:
        open_folder(tmp_path)
    assert str(tmp_path / "texture_ad.yaml") in str(refused.value)


@pytest.mark.parametrize("name", ["2024-01-05", "clip, left", "Plate", "été", "a b"])
def test_products_of_any_name_can_be_chosen(name, tmp_path):
    tree = draw(LAYOUTS["mvtec_ad"], tmp_path, products=("bolt", name, "left"))
    data = open_folder(tmp_path, categories=tuple(part for part in name.split(",")))
    assert data.categories == (name,)
    assert {*open_folder(tmp_path, categories=("left", "bolt")).categories} == {"left", "bolt"}
    assert tree


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("Plate", "plate", "'Plate' and 'plate' differ only in capitals"),
        ("Ku\u0308hler", "K\u00fchler", "look alike"),
        ("b\u043elt", "bolt", "look alike"),
        ("pipe clip", "pipeclip", "look alike"),
    ],
)
def test_products_that_look_alike_are_refused_where_they_lie(one, other, how, tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path / "one", products=(one, other, "nut"))
    with pytest.raises(DataError, match=how):
        open_folder(tmp_path / "one")
    for name in (one, other):
        draw(LAYOUTS["mvtec_ad"], tmp_path / "roots" / ascii(name), products=(name,))
    with pytest.raises(DataError, match=how):
        joined([open_folder(tmp_path / "roots" / ascii(name)) for name in (one, other)], ())


def test_several_data_sets_in_one_folder_are_not_guessed_between(tmp_path):
    for name in ("mvtec_ad", "mvtec_loco"):
        draw(LAYOUTS[name], tmp_path / name)
    with pytest.raises(DataError, match="hold some: name one of them"):
        open_folder(tmp_path)


def test_the_names_of_today_stay(plants):
    """Banks of AutoVI's and LOCO's trees stay byte for byte: names and their order are theirs."""
    found = [one.name for one in open_folder(plants).samples]
    expected = [
        f"{path.parents[2].name}/{split}/{path.parent.name}/{path.stem}"
        for category in ("bolt", "hose")
        for split in ("test", "train")
        for path in sorted(Path(plants / category / split).glob("*/*.png"))
    ]
    assert found == expected
