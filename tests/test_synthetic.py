"""The demo plants: what is on disk, that it is repeatable, and that nothing is silently reused."""

import csv
import hashlib
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.datasets.autovi import autovi
from fedad.datasets.synthetic import synthetic
from fedad.drawing import provide as module
from fedad.drawing.drawn_set import DrawnSet
from fedad.drawing.plan import PRODUCTS, DrawingPlan, Shot, draw_image, shots
from fedad.drawing.plants import PLANTS
from fedad.errors import ConfigError, DataError
from fedad.images.pixels import image_size, read_image, read_region
from fedad.types import GOOD, Dataset, Region

TINY = {"size": 64, "train": 2, "good": 3, "defective": 6}
PLAN = DrawingPlan(seed=0, **TINY)


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("data") / "plants", **TINY)


@pytest.fixture(scope="module")
def regions(plants: Dataset) -> list[Region]:
    return [
        read_region(channel, image_size(sample.path))
        for sample in plants.samples
        for channel in sample.masks or ()
    ]


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def header(path: Path) -> tuple[str, tuple[int, int]]:
    with Image.open(path) as image:
        return image.mode, image.size


def test_has_three_products_with_all_their_images_and_defects(plants):
    assert plants.categories == ("pipe_clip", "tank_screw", "wiring")
    given = Counter(sample.split for sample in plants.samples)
    assert given == {"train": 3 * 3 * 2, "test": 3 * 3 * (3 + 6), "validation": 3 * 3 * 2 * 12}
    for product in PRODUCTS:
        of_product = [sample for sample in plants.samples if sample.category == product.name]
        assert {sample.defect for sample in of_product} == {GOOD, *product.defects}
        assert {sample.kind for sample in of_product} == {"", "structural", "logical"}


def test_autovi_reads_the_same_samples_without_a_warning(plants):
    theirs = autovi(plants.root)
    assert theirs.warnings == plants.warnings == ()
    assert [sample.name for sample in theirs.samples] == [sample.name for sample in plants.samples]
    files = [[mask.path for mask in sample.masks or ()] for sample in plants.samples]
    assert [[mask.path for mask in sample.masks or ()] for sample in theirs.samples] == files


def test_categories_are_chosen_and_a_wrong_one_is_named(plants):
    assert synthetic(plants.root, categories=["wiring"], **TINY).categories == ("wiring",)
    with pytest.raises(DataError, match=r"no category 'wirin'.+ 'wiring'"):
        synthetic(plants.root, categories=["wirin"], **TINY)


def test_images_are_rgb_and_masks_have_their_size_and_one_value_a_reading(plants):
    for sample in plants.samples:
        assert header(sample.path) == ("RGB", (64, 64))
        assert sample.is_good == (sample.masks == ())
        for mask in sample.masks or ():
            region = read_region(mask, (64, 64))  # refuses an empty mask and an unknown value
            assert header(mask.path) == ("RGB", (64, 64))
            assert region.mask.mean() < 0.3


def test_logical_defects_have_several_readings_in_files_of_their_own(plants):
    several = {
        sample.defect: sample.kind for sample in plants.samples if len(sample.masks or ()) > 1
    }
    assert several == dict.fromkeys(("unclipped", "wrong_hole", "misrouted", "swapped"), "logical")


def test_saturation_thresholds_matter(plants, regions):
    early = [region for region in regions if region.saturation < np.count_nonzero(region.mask)]
    assert 0.4 < len(early) / len(regions) < 0.9
    saturations = [
        value
        for sample in plants.samples
        for mask in sample.masks or ()
        for value in mask.saturation.values()
    ]
    assert {value.relative for value in saturations} == {True, False}
    assert all(value.threshold < 64 * 64 for value in saturations)


def test_absolute_saturation_grows_with_the_image():
    for product in PRODUCTS:
        for defect in product.defects.values():
            for reading in defect.readings.values():
                small, large = reading.saturation(64), reading.saturation(128)
                factor = 1 if reading.relative else 4
                assert large.threshold == pytest.approx(factor * small.threshold, rel=0.05)


@pytest.mark.parametrize("plan", [PLAN, DrawingPlan(0, 64, 5, 8, 8), DrawingPlan(0, 64, 1, 3, 1)])
def test_a_plant_learns_its_own_variant_and_judges_all(plan):
    for product in PRODUCTS:
        for own, plant in enumerate(PLANTS):
            here = [shot for shot in shots(plan) if (shot.product, shot.plant) == (product, plant)]
            assert {shot.variant for shot in here if shot.split == "train"} == {own}
            for good in (True, False)[: 1 + (plan.defective >= 6)]:
                judged = [
                    shot for shot in here if shot.split == "test" and (shot.defect == GOOD) == good
                ]
                assert {shot.variant for shot in judged} == {0, 1, 2}


def test_sites_csv_lists_every_image_with_its_plant(plants):
    for product in PRODUCTS:
        folder = plants.root / product.name
        with (folder / "sites.csv").open(newline="") as lines:
            listed = {row["file"]: row["site"] for row in csv.DictReader(lines)}
        images = {sample.path for sample in plants.samples if sample.category == product.name}
        assert {folder / file for file in listed} == images
        planned = {shot.file: shot.plant.name for shot in shots(PLAN) if shot.product is product}
        assert listed == planned


def test_an_image_depends_on_its_seed_and_place_alone(plants):
    some = list(shots(PLAN))[::7]
    backwards = {shot: draw_image(shot, seed=0, size=64) for shot in reversed(some)}
    for shot in some:
        image, masks = draw_image(shot, seed=0, size=64)
        np.testing.assert_array_equal(image, backwards[shot][0])
        for reading, mask in masks.items():
            np.testing.assert_array_equal(mask, backwards[shot][1][reading])
        on_disk = read_image(plants.root / shot.product.name / shot.file)
        np.testing.assert_array_equal(image, np.asarray(on_disk))
        assert (image != draw_image(shot, seed=1, size=64)[0]).any()


def test_more_images_leave_the_others_as_they_are():
    def take(shot: Shot) -> tuple[object, ...]:
        return shot.product.name, shot.plant.name, shot.split, shot.defect == GOOD, shot.take

    few, many = (
        {take(shot): shot for shot in shots(plan)} for plan in (PLAN, DrawingPlan(0, 64, 9, 9, 9))
    )
    for key in [key for key in few if key[3]][::9]:
        ours, theirs = (draw_image(of[key], seed=0, size=64)[0] for of in (few, many))
        np.testing.assert_array_equal(ours, theirs)


def test_another_process_draws_the_same_arrays():
    code = (
        "import hashlib; from fedad.drawing.plan import *; plan = DrawingPlan(3, 64, 1, 3, 6);"
        "drawn = [draw_image(shot, seed=3, size=64)[0].tobytes() for shot in shots(plan)][::9];"
        "print(hashlib.sha256(b''.join(drawn)).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    drawn = [draw_image(shot, seed=3, size=64)[0] for shot in shots(DrawingPlan(3, 64, 1, 3, 6))][
        ::9
    ]
    here = hashlib.sha256(b"".join(image.tobytes() for image in drawn)).hexdigest()
    assert there.stdout.strip() == here


@pytest.mark.parametrize("size", [64, 96])
def test_every_reading_of_every_defect_is_seen(size):
    for product in PRODUCTS:
        for defect in product.defects:
            for take in range(6):
                plant, variant = PLANTS[take % 3], (take + take // 3) % 3
                shot = Shot(product, plant, variant, "test", defect, take, take)
                _, masks = draw_image(shot, seed=7, size=size)
                assert set(masks) == set(shot.readings)
                assert all(mask.sum() >= 5 for mask in masks.values()), (shot.file, product.name)


FROZEN = {  # green, on a grid of 4 x 4 pixels
    "pipe_clip": "112 136 134 146 121 141 132 131 146 149 133 135 130 131 138 130",
    "tank_screw": "61 35 106 64 62 49 106 68 68 56 91 50 66 77 76 78",
    "wiring": "116 133 130 123 86 104 84 117 91 227 72 44 77 31 124 118",
}


@pytest.mark.parametrize("number", range(3))
def test_the_plants_are_as_they_were_drawn(number):
    """Whose pictures change has other figures than all that were published: `PLANTS_SET.version`
    counts up with them. Another machine may round a value otherwise."""
    product = PRODUCTS[number]
    defect = sorted(product.defects)[number]
    shot = Shot(product, PLANTS[number], number, "test", defect, 0, 0)
    image, _ = draw_image(shot, seed=0, size=64)
    frozen = np.array([int(word) for word in FROZEN[product.name].split()])
    assert np.abs(image[8::16, 8::16, 1].ravel().astype(int) - frozen).max() <= 2


def test_a_second_call_draws_nothing(plants, monkeypatch):
    monkeypatch.setattr("fedad.drawing.files.draw_image", None)
    assert len(synthetic(plants.root, **TINY).samples) == len(plants.samples)


def test_an_incomplete_folder_is_completed_with_the_same_bytes(plants):
    before = contents(plants.root)
    masked = next(sample for sample in plants.samples if sample.masks)
    for path in (plants.samples[0].path, masked.masks[0].path, plants.root / "wiring/sites.csv"):
        path.unlink()
    synthetic(plants.root, **TINY)
    assert contents(plants.root) == before


def test_racing_processes_end_with_one_whole_copy(tmp_path, plants):
    root = tmp_path / "plants"
    with ThreadPoolExecutor(3) as pool:
        racing = [pool.submit(synthetic, root, **TINY) for _ in range(3)]
        counts = {len(future.result().samples) for future in racing}
    assert counts == {len(plants.samples)}
    assert [path.name for path in tmp_path.iterdir()] == ["plants"]
    assert contents(root) == contents(plants.root)


def test_the_loser_of_a_race_is_held_to_the_winners_plan(tmp_path, monkeypatch):
    root, complete = tmp_path / "plants", module.complete

    def overtaken(folder: Path, drawn: DrawnSet, plan: DrawingPlan) -> None:
        monkeypatch.setattr(module, "complete", complete)
        synthetic(root, seed=5, **TINY)
        complete(folder, drawn, plan)

    monkeypatch.setattr(module, "complete", overtaken)
    with pytest.raises(DataError, match="drawn with seed = 5, expected"):
        synthetic(root, **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["plants"]


def test_an_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(folder: Path, drawn: DrawnSet, plan: DrawingPlan) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "complete", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthetic(tmp_path / "deep" / "plants", **TINY)
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize("changed", [{"seed": 1}, {"size": 72}, {"train": 3}, {"defective": 7}])
def test_plants_drawn_with_other_numbers_are_refused(plants, changed):
    (name,) = changed
    with pytest.raises(DataError, match=rf"drawn with {name} = \d+, expected .*{name} = "):
        synthetic(plants.root, **TINY | changed)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"which has a demo\.json"):
        synthetic(tmp_path, **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["", "[1", "7"])
def test_a_broken_stamp_is_named(tmp_path, text):
    (tmp_path / "demo.json").write_text(text)
    with pytest.raises(DataError, match=r"demo\.json: expected how the set was drawn"):
        synthetic(tmp_path, **TINY)


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "plants").write_text("a file")
    with pytest.raises(DataError, match="plants: the demo plants cannot be drawn there"):
        synthetic(tmp_path / "plants", **TINY)


def test_an_empty_folder_is_filled(tmp_path):
    assert synthetic(tmp_path, **TINY | {"defective": 1, "train": 1}).samples
    assert json.loads((tmp_path / "demo.json").read_text())["size"] == 64


@pytest.mark.parametrize(
    ("name", "value"), [("seed", -1), ("size", 63), ("train", 0), ("good", 2), ("defective", 0)]
)
def test_numbers_too_small_to_draw_are_refused(tmp_path, name, value):
    with pytest.raises(ConfigError, match=f"{name} = {value}: expected"):
        synthetic(tmp_path / "plants", **TINY | {name: value})
    assert not list(tmp_path.iterdir())
