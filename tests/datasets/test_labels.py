"""Labels and mask values of VisA: a defect's name from its table, a region for each class."""

import csv

import numpy as np
import pytest
from PIL import Image

from fedad.datasets._label_table import MOST_KINDS, SEVERAL, read_labels
from fedad.datasets.base import open_folder
from fedad.errors import DataError
from fedad.images.regions import regions_of
from tests.datasets.drawn import draw, layouts

FOLDER = "Data/Images/Anomaly"


@pytest.fixture
def product(tmp_path):
    """One product of the raw layout."""
    raw = next(one for one in dict(layouts()).values() if one.name == "visa" and one.labels)
    draw(raw, tmp_path, products=("fryum",))
    return next(tmp_path.rglob(raw.labels)).parent


def bad(product):
    return sorted((product / FOLDER).iterdir())


def tell(product, labels, prefix="fryum/"):
    with (product / "image_anno.csv").open("w", newline="") as file:
        rows = [
            (f"{prefix}{FOLDER}/{p.name}", text, "")
            for p, text in zip(bad(product), labels, strict=False)
        ]
        csv.writer(file).writerows([("image", "label", "mask"), *rows])


def named(product):
    data = open_folder(product.parent)
    return {one.path.name: one.defect for one in data.samples if not one.is_good}


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("burnt", "burnt"),
        ("corner or edge breakage,small scratches", "corner or edge breakage, small scratches"),
        ("['burnt', 'hole']", "burnt, hole"),
        ("burnt,burnt", "burnt"),
        ("", "Anomaly"),
        ("normal", "Anomaly"),
        ("../../etc", "Anomaly"),
        ("x" * 500, "Anomaly"),
    ],
)
@pytest.mark.parametrize("prefix", ["fryum/", "", "./fryum/"])
def test_a_defect_is_called_as_its_label(cell, name, prefix, product):
    tell(product, [cell], prefix)
    found = named(product)
    assert found[bad(product)[0].name] == name
    assert {found[path.name] for path in bad(product)[1:]} == {"Anomaly"}


def test_a_table_without_its_columns_is_refused(product):
    (product / "image_anno.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="expected the columns image and label"):
        open_folder(product.parent)


def test_there_are_never_more_kinds_than_a_server_takes(product):
    rows = [f'{FOLDER}/{k}.JPG,"a,b{k}",' for k in range(MOST_KINDS + 5)]
    (product / "image_anno.csv").write_text("\n".join(["image,label,mask", *rows]))
    told = read_labels(product / "image_anno.csv", product)
    assert {*told.values()} == {SEVERAL}


@pytest.mark.parametrize(
    ("values", "regions"), [((1,), 1), ((2, 7), 2), ((1, 2, 6), 3), ((255,), 1), ((40, 255), 1)]
)
def test_each_class_of_a_mask_is_a_region_of_its_own(values, regions, product):
    data = open_folder(product.parent)
    sample = next(one for one in data.samples if one.masks)
    (channel,) = sample.masks
    mask = np.zeros((20, 24), np.uint8)
    for k, value in enumerate(values):
        mask[3 * k, 2 : 3 + 4 * k] = value  # the first is one pixel
    Image.fromarray(mask).save(channel.path)
    found = regions_of((channel,), mask.shape)
    assert len(found) == regions
    assert all(one.saturation == np.count_nonzero(one.mask) for one in found)
    marked = mask >= 128 if max(values) >= 128 else mask > 0
    assert np.array_equal(np.logical_or.reduce([one.mask for one in found]), marked)
    assert sum(np.count_nonzero(one.mask) for one in found) == np.count_nonzero(marked)
