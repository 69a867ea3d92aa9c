"""Every verb lists the same files, whichever layout a folder has."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.datasets.base import open_folder
from fedad.messages.file import load
from tests.datasets import drawn
from tests.datasets.drawn import PRODUCTS, draw, pixels, save

LAYOUTS = dict(drawn.layouts())
SMALL = {
    "embedder.backbone": "test_resnet.r160_in1k",
    "embedder.weights": "random",
    "embedder.size": 32,
    "embedder.batch": 16,
    "embedder.threads": 1,
    "embedder.cache": "off",
    "coreset.local-ratio": 0.25,
    "score.replicates": 0,
}
SETS = [word for key, value in SMALL.items() for word in ("-c", f"{key}={value}")]
AS_THE_BANK = ["-c", "embedder.weights=random", "-c", "embedder.cache=off"]


@pytest.fixture
def fedad(fedad):
    """The same, which must not fail by itself."""

    def run(*words):
        code, err, out = fedad(*words)
        assert "itself failed" not in err
        return code, err, out

    return run


def flat(root: Path) -> Path:
    for number in range(8):
        rng = np.random.default_rng(number)
        save(root / "OK" / f"a{number}.jpg", pixels(rng))
        save(root / "NG" / f"b{number % 3}.jpg", pixels(rng))
    return root


@pytest.fixture(params=[*LAYOUTS, "flat"])
def data(request, tmp_path):
    """The folder of a data set that a user would name."""
    if request.param == "flat":
        return flat(tmp_path / "plate")
    tree = draw(LAYOUTS[request.param], tmp_path / "data")
    if not tree.layout.signs:
        (tree.root / "texture_ad.yaml").write_text("train: train\n")
    return tree.root


def rows(maps: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((maps / "scores.csv").read_text().splitlines()))


def test_bank_score_and_evaluate_agree_on_the_images(data, fedad, tmp_path):
    opened = open_folder(data)
    bank, maps, out = tmp_path / "b.safetensors", tmp_path / "maps", tmp_path / "out"
    code, err, said = fedad("bank", "build", data, "--site", "lyon", "--out", bank, *SETS)
    assert code == 0, err
    assert f"read as {opened.name}: " in said
    learned = Counter(one.category for one in opened.samples if one.split == "train")
    made = load(bank, Bank)
    assert dict(zip(made.categories, made.images[0].tolist(), strict=True)) == dict(learned)
    code, err, _ = fedad("score", data, "--bank", bank, "--maps", maps, *AS_THE_BANK)
    assert code == 0, err
    judged = [one for one in opened.samples if one.split == "test" or opened.name == "folder"]
    assert len(rows(maps)) == len(judged) == len({row["image"] for row in rows(maps)})
    again = fedad("score", data, "--bank", bank, "--maps", maps, *AS_THE_BANK)
    assert again[0] == 0
    assert len(rows(maps)) == len(judged)
    words = ("evaluate", "--data", data, "--maps", maps, "--out", out, "--replicates", 0, "--json")
    code, err, said = fedad(*words)
    assert code == 0, err
    report = json.loads(said)
    assert report["data_set"] == opened.name
    assert {*report["categories"]} == {*opened.categories}
    for name, found in report["categories"].items():
        sizes = found["sizes"]
        own = [one for one in opened.samples if one.category == name and one.split == "test"]
        assert sizes["good_images"] == sum(one.is_good for one in own)
        assert sizes["defective_images"] == sum(not one.is_good for one in own)


@pytest.mark.reliability
def test_check_run_report_and_compare_take_it_too(data, fedad, tmp_path):
    opened = open_folder(data)
    code, _, said = fedad("data", "check", data)
    assert code in (0, 1)
    assert opened.name in said
    knobs = {**SMALL, "data.dataset": "auto", "data.dir": str(data), "data.partition": "iid"}
    knobs |= {"data.sites": 2}
    overlay = tmp_path / "own.toml"
    overlay.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in knobs.items()))
    code, err, _ = fedad("run", overlay, "--via", "local", "--runs", tmp_path / "runs")
    assert code == 0, err
    record = json.loads((tmp_path / "runs" / "latest" / "record.json").read_text())
    assert record["figures"]
    code, err, _ = fedad("report", tmp_path / "runs" / "latest")
    assert code == 0, err
    matrix = tmp_path / "own.yaml"
    figures = "figures: [image_auroc]\n" if opened.name == "folder" else ""
    matrix.write_text(
        figures + "base: own.toml\naxes:\n  merge.aggregation: [concatenate]\nseeds: [0]\n"
    )
    code, err, _ = fedad("compare", matrix, "--jobs", 1, "--out", tmp_path / "compared")
    assert code == 0, err
    code, err, _ = fedad("data", "split", data, tmp_path / "plants", "-c", "data.partition=iid")
    assert code == 0, err
    for folder in (tmp_path / "plants").iterdir():
        assert {*open_folder(folder).categories} <= {*opened.categories}


@pytest.mark.parametrize("bad", [False, True])
def test_a_run_without_defects_or_masks_says_why_figures_are_missing(bad, fedad, tmp_path):
    root = flat(tmp_path / "plate") if bad else flat(tmp_path / "plate") / "OK"
    words = ["data.dataset=auto", f"data.dir={root}", "data.partition=iid", "data.sites=1"]
    sets = [word for key in words for word in ("-c", key)]
    code, err, said = fedad("run", "--via", "local", "--runs", tmp_path / "runs", *SETS, *sets)
    assert code == 0, err
    why = "no mask of a defect" if bad else "no good and no defective test image"
    assert f"plate: {why}" in said
    code, err, _ = fedad("report", tmp_path / "runs" / "latest")
    assert code == 0, err
    assert f"plate: {why}" in (tmp_path / "runs" / "latest" / "report.html").read_text()


@pytest.fixture
def bank(fedad, tmp_path):
    """A bank of one product, `plate`."""
    path = tmp_path / "plate.safetensors"
    code, err, _ = fedad(
        "bank", "build", flat(tmp_path / "plate"), "--site", "a", "--out", path, *SETS
    )
    assert code == 0, err
    return path


def score(fedad, folder, bank, maps, *more):
    return fedad("score", folder, "--bank", bank, "--maps", maps, *AS_THE_BANK, *more)


def test_two_files_of_one_stem_get_two_maps(fedad, bank, tmp_path):
    for name in ("part.jpg", "part.png", "other.jpg"):
        save(tmp_path / "new" / name, pixels(np.random.default_rng(len(name))))
    assert score(fedad, tmp_path / "new", bank, tmp_path / "maps")[0] == 0
    assert [row["image"] for row in rows(tmp_path / "maps")] == ["other", "part.jpg", "part.png"]
    assert {path.name for path in (tmp_path / "maps").glob("*.npy")} == {
        *("other.npy", "part.jpg.npy", "part.png.npy")
    }


@pytest.mark.parametrize("form", ["npy", "png"])
def test_what_was_written_is_not_judged_the_second_time(form, fedad, bank, tmp_path):
    new = tmp_path / "new"
    save(new / "a.jpg", pixels(np.random.default_rng(1)))
    for maps in (new / "maps", new / "maps", tmp_path / "elsewhere"):
        assert score(fedad, new, bank, maps, "--format", form)[0] == 0
        assert [row["image"] for row in rows(maps)] == ["a"]


def test_maps_never_take_the_place_of_images(fedad, bank, tmp_path):
    new = tmp_path / "new"
    save(new / "in" / "a.png", pixels(np.random.default_rng(1)))
    before = (new / "in" / "a.png").read_bytes()
    for folder, maps in ((new / "in", new / "in"), (new, new), (new / "in" / "a.png", new / "in")):
        code, err, _ = score(fedad, folder, bank, maps, "--format", "png")
        assert code == 2
        assert "name another folder" in err
    assert (new / "in" / "a.png").read_bytes() == before
    (tmp_path / "text").write_text("x")
    code, err, _ = score(fedad, new, bank, tmp_path / "text")
    assert code == 2
    assert "it is a file, expected a folder" in err


def test_an_unreadable_image_leaves_a_named_gap(fedad, bank, tmp_path):
    new = tmp_path / "new"
    for name in ("a.jpg", "c.jpg"):
        save(new / name, pixels(np.random.default_rng(1)))
    (new / "b.jpg").write_bytes((new / "a.jpg").read_bytes()[:200])
    (new / "d.heic").write_bytes(b"x")
    code, err, _ = score(fedad, new, bank, tmp_path / "maps")
    assert code == 3
    assert f"{new}/b.jpg: " in err
    assert "1 of 3 images have no score" in err
    found = {row["image"]: row["score"] for row in rows(tmp_path / "maps")}
    assert {*found} == {"a", "b", "c"}
    assert found["b"] == ""
    assert float(found["a"]) > 0
    assert not (tmp_path / "maps" / "b.npy").exists()


def test_names_as_long_as_a_disk_takes_are_written_or_refused_before_anything_is_judged(
    fedad, bank, tmp_path
):
    new = tmp_path / "new"
    save(new / ("x" * 251 + ".png"), pixels(np.random.default_rng(1)))
    assert score(fedad, new, bank, tmp_path / "maps")[0] == 0
    assert rows(tmp_path / "maps")[0]["score"]
    save(new / ("x" * 251 + ".jpg"), pixels(np.random.default_rng(1)))  # its map keeps the ending
    code, err, _ = score(fedad, new, bank, tmp_path / "more")
    assert code == 3
    assert "its map's name would have 259 bytes" in err
    assert not (tmp_path / "more").exists()


def test_a_products_name_with_blanks_stands_in_every_table(fedad, bank, tmp_path):
    root = flat(tmp_path / "left plate")
    words = ("-c", "data.categories=plate")
    assert score(fedad, root, bank, tmp_path / "maps", *words)[0] == 0
    words = ("evaluate", "--data", root, "--maps", tmp_path / "maps", "--replicates", 0)
    code, err, said = fedad(*words, "--out", tmp_path / "out")
    assert code == 0, err
    assert said.count("left plate") == 2 + said.count("left plate:")
    code, err, _ = fedad("evaluate", "--data", root / "OK", "--maps", tmp_path / "maps")
    assert code == 3
    assert "all of whose images are good ones to learn from: no image to evaluate" in err


def test_thresholds_come_from_a_data_sets_validation_images(fedad, tmp_path):
    root = draw(LAYOUTS["mvtec_loco"], tmp_path / "data", products=("clip",)).root
    bank = tmp_path / "b.safetensors"
    assert fedad("bank", "build", root, "--site", "a", "--out", bank, *SETS)[0] == 0
    code, err, said = fedad("calibrate", "--bank", bank, "--good", root, *AS_THE_BANK)
    assert not err
    assert code == 1  # three parts promise nothing
    assert "its validation images are there for thresholds" in said


def test_one_fault_of_many_images_is_said_once(fedad, bank, tmp_path):
    new = tmp_path / "new"
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        save(new / name, pixels(np.random.default_rng(1)))
    save(new / "roi.png", np.full((9, 40), 255, np.uint8))
    code, err, _ = score(fedad, new, bank, tmp_path / "maps", "-c", "data.roi=roi.png")
    assert code == 3
    assert err.count("was it drawn for another camera") == 1
    assert "3 of 3 images have no score" in err


def test_what_is_not_judged_is_named(fedad, bank, tmp_path):
    new = tmp_path / "new"
    for name in ("a.jpg", ".Trash/old.png", "._a.png"):
        save(new / name, pixels(np.random.default_rng(1)))
    for name in ("x.webp", "no ending", "Thumbs.db"):
        (new / name).write_bytes(b"x")
    code, _, said = score(fedad, new, bank, tmp_path / "maps")
    assert code == 0
    assert "1 maps in" in said
    assert "x.webp (no format that is read" in said
    assert "no ending (no image)" in said
    assert "Thumbs.db" not in said


def test_one_file_and_a_products_folder_are_judged(fedad, tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path / "data")
    bank = tmp_path / "b.safetensors"
    one = tmp_path / "data" / PRODUCTS[0]
    assert fedad("bank", "build", one, "--site", "a", "--out", bank, *SETS)[0] == 0
    assert load(bank, Bank).categories == PRODUCTS[:1]
    assert score(fedad, one, bank, tmp_path / "maps")[0] == 0
    assert {row["image"].split("/")[1] for row in rows(tmp_path / "maps")} == {"test"}
    file = one / "test" / "cut" / "000.png"
    assert score(fedad, file, bank, tmp_path / "single")[0] == 0
    assert [row["image"] for row in rows(tmp_path / "single")] == ["000"]
    code, err, _ = score(fedad, tmp_path / "data", bank, tmp_path / "more")
    assert code == 3
    assert f"and not {PRODUCTS[1]}" in err


@pytest.mark.parametrize("name", ["2024-01-05", "clip, left", "7", "true"])
def test_a_product_of_any_name_is_chosen_on_the_command_line(name, fedad, tmp_path):
    draw(LAYOUTS["mvtec_ad"], tmp_path / "data", products=("bolt", name))
    bank = tmp_path / "b.safetensors"
    words = ("bank", "build", tmp_path / "data", "--site", "a", "--out", bank, *SETS)
    code, err, _ = fedad(*words, "-c", f"data.categories={name}")
    assert code == 0, err
    assert load(bank, Bank).categories == (name,)


def test_products_that_differ_in_capitals_do_not_meet_in_one_bank(fedad, tmp_path):
    files = []
    for name in ("Plate", "plate"):
        files.append(tmp_path / f"{name}.safetensors")
        words = ("--site", name, "--out", files[-1], *SETS)
        assert fedad("bank", "build", flat(tmp_path / name), *words)[0] == 0
    code, err, _ = fedad("bank", "merge", *files, "--out", tmp_path / "both.safetensors")
    assert code != 0
    assert "differ only in capitals" in err
