"""`fedad data check`: all that a run would meet, and one last line."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fedad.commands.data_check import data_check
from fedad.config import read
from fedad.errors import DataError
from fedad.images.usable import sift
from fedad.partition import partition
from fedad.running.checking import Checked, as_json, check
from tests.bad_data import files
from tests.bad_data.cases import a_mask, draw_plant, train_file
from tests.datasets.drawn import draw, layouts
from tests.images.test_near_duplicates import again, part


@pytest.fixture
def plant(tmp_path):
    return draw_plant(tmp_path / "plant")


def checked(root, *, is_run=False, **knobs) -> Checked:
    own = {"data.dataset": "auto", "embedder.cache": "off"}
    return check(
        read(own | {k.replace("__", "."): v for k, v in knobs.items()}), root, is_run=is_run
    )


def test_a_good_plant_is_ready_with_its_counts_and_sites(plant):
    found = checked(plant)
    assert not found.problems
    assert found.verdict == "ready: 72 images of bolt"
    (bolt,) = found.products
    assert (bolt.train_good, bolt.test_good, bolt.test_defective) == (24, 24, 24)
    assert bolt.sizes == {"24 x 20": 72}
    assert found.sites == {"lyon": {"bolt": {"train": 24, "validation": 0, "test": 48}}}
    assert "licence: not known" in " ".join(found.notes)


def test_validation_images_have_a_column_of_their_own(tmp_path, capsys):
    draw(dict(layouts())["mvtec_loco"], tmp_path / "loco")
    there = len(list((tmp_path / "loco").glob("*/validation/good/*")))
    found = checked(tmp_path / "loco", is_run=True, data__partition="iid", data__sites=2)
    assert sum(one.validation for one in found.products) == there > 0
    at_sites = [counts for site in found.sites.values() for counts in site.values()]
    assert sum(counts["validation"] for counts in at_sites) == there
    learned = len(list((tmp_path / "loco").glob("*/train/good/*")))
    assert sum(counts["train"] for counts in at_sites) == learned
    data_check(tmp_path / "loco", overrides=["embedder.cache=off"])
    printed = capsys.readouterr().out
    assert printed.count("validation") >= 1
    assert json.loads(json.dumps(as_json(found)))["products"][0]["validation"] > 0


BREAKS = {
    "sites.csv": (
        lambda root: (root / "bolt/sites.csv").write_text("name;plant\na;b\n"),
        "sites.csv: expected the columns file,site",
    ),
    "an image that is not listed": (
        lambda root: files.RGB.save(train_file(root, "new.png")),
        "new.png is not listed",
    ),
    "an image cut short": (
        lambda root: train_file(root, "0003.png").write_bytes(
            train_file(root, "0003.png").read_bytes()[:60]
        ),
        "0003.png: cannot be read as an image",
    ),
    "a mask of another size": (
        lambda root: Image.fromarray(np.full((4, 4), 255, np.uint8)).save(a_mask(root)),
        "the mask is 4 x 4, its image 24 x 20",
    ),
    "defects_config.json": (
        lambda root: (root / "bolt/defects_config.json").write_text("{"),
        "defects_config.json",
    ),
    "12 bits in 16": (
        lambda root: train_file(root, "0003.png").write_bytes(files.deep(4096)),
        "data.bits = 12",
    ),
    "a test image among the training images": (
        lambda root: shutil.copy(root / "bolt/test/good/0001.png", train_file(root, "0003.png")),
        "test image with the same bytes as a training image",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_ends_or_spoils_a_run_is_the_first_thing_to_do(plant, name):
    build, says = BREAKS[name]
    build(plant)
    try:
        verdict = checked(plant).verdict
    except DataError as error:  # the folder cannot even be listed
        verdict = f"not ready, first: {error}"
    assert verdict.startswith("not ready, first: ")
    assert says in verdict


def test_a_knob_makes_it_ready(plant):
    for path in (plant / "bolt/train/good").iterdir():
        path.write_bytes(files.deep(4000 - int(path.stem)))
    assert checked(plant).problems
    found = checked(plant, data__bits=12)
    assert not found.problems
    assert found.products[0].bits == {"of 8 bits": 48, "of 16 bits": 24}
    assert any("its files differ" in text for text in found.warnings)


def test_what_a_run_refuses_is_no_ready_folder(plant):
    """The same knobs, through a run's own code, and through the check."""
    for number in range(5):
        train_file(plant, f"{number:04d}.png").write_bytes(b"")
    knobs = {"data.dataset": "auto", "data.dir": str(plant), "embedder.cache": "off"}
    found = checked(plant)
    (site,) = partition(found.dataset, read(knobs).data, seed=0)
    with pytest.raises(DataError) as refused:
        sift(read(knobs), site)
    assert found.problems[0] == f"lyon: {refused.value}"


def test_identical_images_of_two_sites_are_found(plant):
    """Neither site can know; who has both folders can."""
    twin = plant / "bolt/test/good/0001.png"
    shutil.copy(twin, train_file(plant, "0003.png"))
    table = plant / "bolt/sites.csv"
    table.write_text(
        table.read_text().replace("test/good/0001.png,lyon", "test/good/0001.png,graz")
    )
    found = checked(plant)
    assert set(found.sites) == {"graz", "lyon"}
    assert "0001.png: the same bytes as the training image" in found.verdict


def test_second_shots_between_train_and_test_are_told(tmp_path):
    for number in range(24):
        place = tmp_path / "set" / ("good" if number < 20 else "bad") / f"{number:03d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        part(number).save(place)
    again(part(3), 1).save(tmp_path / "set" / "bad" / "shot.png")
    again(part(4), 1).save(tmp_path / "set" / "good" / "shot.png")
    found = checked(tmp_path / "set")
    told = " ".join(found.warnings)
    assert "4 images are near-duplicates of another" in told
    assert "test images are near-duplicates of a training image" in told
    assert not found.problems


def test_good_images_alone_are_ready_and_told_why_there_are_no_figures(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(6):
        part(number).save(tmp_path / "parts" / f"{number}.jpg")
    found = checked(tmp_path / "parts")
    assert found.verdict.startswith("ready: 6 images")
    assert any(
        'no test images: a run learns from it, and its figures are "-"' in text
        for text in found.warnings
    )


def test_sites_that_cannot_be_made_are_a_problem_of_a_run_alone(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(6):
        part(number).save(tmp_path / "parts" / f"{number}.jpg")
    assert not checked(tmp_path / "parts").problems
    assert "there is no such file" in checked(tmp_path / "parts", is_run=True).verdict
    many = checked(tmp_path / "parts", is_run=True, data__partition="iid", data__sites=7)
    assert "data.sites = 7" in many.verdict
    few = checked(tmp_path / "parts", is_run=True, data__partition="iid", data__sites=2)
    assert [counts["parts"]["train"] for counts in few.sites.values()] == [3, 3]


def test_a_bank_that_so_few_images_cannot_fill_is_a_problem_of_a_run(plant):
    assert not checked(plant, bank__size=10**7).problems
    found = checked(plant, is_run=True, bank__size=10**7)
    assert "bank.size" in found.verdict


def test_a_region_of_interest_is_opened(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(6):
        part(number).save(tmp_path / "parts" / f"{number}.jpg")
    mask = tmp_path / "roi.png"
    assert "there is no such file" in checked(tmp_path / "parts", data__roi=str(mask)).verdict
    Image.fromarray(np.full((10, 90), 255, np.uint8)).save(mask)
    told = " ".join(checked(tmp_path / "parts", data__roi=str(mask)).problems)
    assert "the region of interest is 90 x 10" in told
    Image.fromarray(np.full((96, 128), 255, np.uint8)).save(mask)
    assert not checked(tmp_path / "parts", data__roi=str(mask)).problems


def test_turned_and_upright_pictures_are_counted_and_named(plant):
    for number in range(3):
        train_file(plant, f"{number:04d}.png").write_bytes(files.turned("PNG", 6))
    found = checked(plant)
    assert found.products[0].orientations == {"as stored": 69, "a quarter to the right": 3}
    assert any("data.orientation = 'apply' turns them alike" in text for text in found.warnings)
    assert "20 x 24" not in found.products[0].sizes
    assert checked(plant, data__orientation="apply").products[0].sizes["20 x 24"] == 3


def test_the_command_as_text_and_as_json(plant, tmp_path, capsys, monkeypatch):
    from fedad import cli

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def said(*words):
        monkeypatch.setattr("sys.argv", ["fedad", "data", "check", *map(str, words)])
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    code, text = said(plant)
    assert (code, text.strip().splitlines()[-1]) == (0, "ready: 72 images of bolt")
    (plant / "bolt" / "notes.txt").write_text("a note")
    code, text = said(plant, "--json")
    told = json.loads(text)
    assert code == 0
    assert told["ready"]
    assert told["unused"] == [{"path": f"{plant}/bolt/notes.txt", "why": "no image"}]
    train_file(plant, "0003.png").write_bytes(b"")
    code, text = said(plant)
    assert code == 1
    assert "not used (no image): " in text
    assert text.strip().splitlines()[-1].startswith("not ready, first: ")
    code, text = said(plant / "nowhere", "--json")
    assert code == 3
    assert not json.loads(text)["ready"]


def test_a_validation_image_that_is_cut_short_is_found_without_any_sites(plant):
    (plant / "bolt/sites.csv").unlink()
    path = plant / "bolt/validation/good/0000.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(train_file(plant, "0003.png").read_bytes()[:60])
    found = checked(plant)
    assert any("validation/good/0000.png: cannot be read as an image" in p for p in found.problems)
