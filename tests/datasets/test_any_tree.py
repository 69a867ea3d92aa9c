"""Whatever a tree, a table or a configuration is: a data set, or one error with a word."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedad.datasets._config import read_saturation
from fedad.datasets.auto import recognise
from fedad.datasets.base import check_trainable, open_folder, pictures
from fedad.datasets.sites_table import sites_of
from fedad.datasets.texture_ad import MAPPING
from fedad.errors import DataError
from fedad.messages.faults import REFUSED, USED
from fedad.types import Dataset
from tests.bounds import bounded
from tests.datasets import drawn
from tests.datasets.drawn import draw, flat_files

LAYOUTS = dict(drawn.layouts())
QUICK, TREES, TEXTS = 12, 1_000, 30_000  # trees of each layout, and files of each kind
NAMES = st.sampled_from(
    [
        *(
            "good",
            "OK",
            "ko",
            "bad",
            "train",
            "test",
            "validation",
            "ground_truth",
            "masks",
            "mean",
        ),
        *("._a.png", "a.png", "a_mask.png", "b.webp", "Thumbs.db", "sites.csv", "x" * 60, "a\nb"),
        *("defects_config.json", "license.txt", "split_csv", "Data", "test_public", "2024-01-05"),
    ]
) | st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1)
NAMES = NAMES.filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
DAMAGE = st.sampled_from(["rename", "drop", "cut", "put", "folder", "link", "loop", "move"])
BYTES = st.binary(max_size=80) | st.sampled_from([b"", b"[]", b"{}", b"file,site\n", b"\xff\xfe"])


def whole(folder: Path, name: str) -> Path:
    if name == "flat":
        return flat_files(folder)
    return draw(LAYOUTS[name], folder, products=("clip", "nut"), few=True).root


def damage(data: st.DataObject, root: Path) -> None:
    """A few things happen to the files and folders below a root."""
    for _ in range(data.draw(st.integers(1, 4))):
        there = sorted(root.rglob("*"))
        if not there:
            return
        path = there[data.draw(st.integers(0, len(there) - 1))]
        what, name = data.draw(DAMAGE), data.draw(NAMES)
        to = path.with_name(name)
        try:
            if what == "rename" and not to.exists():
                path.rename(to)
            elif what == "drop":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            elif what == "cut" and path.is_file():
                path.write_bytes(data.draw(BYTES))
            elif what == "put" and not to.exists():
                to.write_bytes(data.draw(BYTES))
            elif what == "folder" and not to.exists():
                to.mkdir()
            elif what == "link" and not to.exists():
                to.symlink_to(data.draw(st.sampled_from(there)))
            elif what == "loop" and not to.exists():
                to.symlink_to(data.draw(st.sampled_from([root, root.parent / "gone", to])))
            elif what == "move":
                path.rename(root / name)
        except OSError:  # what the disk itself refuses
            continue


def lawful(dataset: Dataset, root: Path) -> None:
    """What holds of every data set that is read."""
    names = [sample.name for sample in dataset.samples]
    assert len({*names}) == len(names)
    for sample in dataset.samples:
        assert not sample.is_good or sample.masks == ()
        assert sample.split in ("train", "validation", "test")
        assert sample.split == "test" or sample.is_good
        assert not sample.path.name.startswith(".")
    assert {fault.reason for fault in dataset.faults} <= {*USED}
    used = {sample.path for sample in dataset.samples}
    assert not used & {path for path, _ in dataset.unused}
    assert dataset.licence


def ends_well(read) -> Dataset | None:
    """What is read, or None where it ends with a known error, in time and within memory."""
    refused: list[DataError] = []
    found = None
    with bounded():
        try:
            found = read()
        except DataError as error:
            refused.append(error)
    for error in refused:
        assert error.reason in REFUSED
        assert len(str(error)) < 2000
    return found


def trees(folder: Path, name: str, count: int):
    original = whole(folder / "whole", name)

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def property_(data):
        root = folder / "damaged"
        shutil.copytree(original, root, symlinks=True, copy_function=os.link)
        try:
            damage_apart(data, root)
            own = "folder" if name == "flat" else LAYOUTS[name].name
            ends_well(lambda: recognise(root))
            for dataset in (own, "auto"):
                found = ends_well(lambda dataset=dataset: open_folder(root, dataset))
                if found is not None:
                    lawful(found, root)
                    ends_well(lambda found=found: sites_of(found))
                    ends_well(lambda found=found: check_trainable(found))
            ends_well(lambda: pictures(root))
        finally:
            shutil.rmtree(root)

    return property_


def damage_apart(data: st.DataObject, root: Path) -> None:
    """Damage that leaves the files that other copies share as they are."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix in (".json", ".csv", ".yaml"):
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    damage(data, root)


EVERY = [*LAYOUTS, "flat"]


@pytest.mark.parametrize("name", EVERY)
def test_any_tree_is_read_or_refused_with_a_word(name, tmp_path):
    trees(tmp_path, name, QUICK)()


@pytest.mark.reliability
@pytest.mark.parametrize("name", EVERY)
def test_thousands_of_trees_of_every_layout(name, tmp_path):
    """R1, over all layouts: with the files below, 100,000 inputs."""
    trees(tmp_path, name, TREES)()


TEXT = (
    st.binary(max_size=300)
    | st.text(max_size=200).map(str.encode)
    | st.lists(
        st.sampled_from(
            [
                *(b"file", b"site", b",", b";", b"\t", b"\n", b'"', b"train/good/000.png", b"lyon"),
                *(b"pixel_value", b"{", b"}", b"[", b"]", b":", b"1e999", b"-1", b"true", b"\0"),
                *(
                    b"image: ",
                    b"good: ",
                    b"{split}/{defect}/{stem}",
                    b"- a\n",
                    b"&a *a",
                    b"\xff\xfe",
                ),
            ]
        ),
        max_size=30,
    ).map(b"".join)
)


def texts(folder: Path, count: int):
    """A configuration, a table of sites and a mapping of any bytes."""
    root = draw(LAYOUTS["mvtec_ad"], folder / "data", products=("clip",), few=True).root
    many = settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    dataset = open_folder(root)

    @many
    @given(TEXT)
    def configs(content):
        (folder / "c.json").write_bytes(content)
        ends_well(lambda: read_saturation(folder / "c.json"))

    @many
    @given(TEXT)
    def tables(content):
        (root / "clip" / "sites.csv").write_bytes(content)
        ends_well(lambda: sites_of(dataset))

    @many
    @given(TEXT)
    def mappings(content):
        (root / MAPPING).write_bytes(content)
        ends_well(lambda: recognise(root))

    return {"configs": configs, "tables": tables, "mappings": mappings}


@pytest.mark.parametrize("name", ["configs", "tables", "mappings"])
def test_any_bytes_are_read_or_refused_with_a_word(name, tmp_path):
    texts(tmp_path, 10 * QUICK)[name]()


@pytest.mark.reliability
@pytest.mark.parametrize("name", ["configs", "tables", "mappings"])
def test_thousands_of_files(name, tmp_path):
    texts(tmp_path, TEXTS)[name]()
