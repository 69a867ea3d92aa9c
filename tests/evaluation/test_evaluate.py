"""`evaluate`: maps and masks in files -> the figures of the same arrays, or one line of error."""

import csv
import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import fedad.evaluation
from fedad.errors import ConfigError, DataError
from fedad.evaluation import LIMITS, evaluate, spro_areas, table_rows, write_evaluation
from fedad.evaluation.breakdown import measure
from fedad.evaluation.exact import rank_exactly
from tests.evaluation.drawn import draw, values

CONFIG = [
    {
        "defect_name": "any",
        "pixel_value": 200,
        "saturation_threshold": 0.5,
        "relative_saturation": True,
    }
]
DTYPES = {"png8": "uint8", "png": "uint16", "tiff": "float32", "npy": "float64"}


def write_category(folder: Path, maps: Path, images, form="npy", names=None) -> list:
    """A category and its maps in files; the images with the saturations that `CONFIG` gives."""
    save(folder / "train" / "good" / "0000.png", np.zeros((60, 80), np.uint8))
    (folder / "defects_config.json").write_text(json.dumps(CONFIG))
    known = []
    for k, image in enumerate(images):
        defect, stem = (names or {}).get(image.defect, image.defect), f"{k:04d}"
        save(folder / "test" / defect / f"{stem}.png", np.zeros(image.map.shape, np.uint8))
        for channel, one in enumerate(image.regions):
            path = folder / "ground_truth" / defect / stem / f"{channel:04d}.png"
            save(path, np.repeat((one.mask * np.uint8(200))[..., None], 3, axis=2))
        write_map(maps / defect / stem, image.map, form)
        regions = [
            type(one)(one.mask, max(1, np.count_nonzero(one.mask) // 2)) for one in image.regions
        ]
        known.append(type(image)(image.map, tuple(regions), folder.name, defect))
    return known


def write_map(stem: Path, scores: np.ndarray, form: str) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    if form == "npy":
        np.save(f"{stem}.npy", scores)
    else:
        Image.fromarray(scores).save(f"{stem}.{form.rstrip('8')}")


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def plant(tmp_path):
    """Two categories with maps as NPY: (data, maps, the images of each)."""
    data, maps = tmp_path / "data", tmp_path / "maps"
    images = {
        name: write_category(data / name, maps / name / "test", draw(k, dtype="float64", count=10))
        for k, name in enumerate(("bolt", "hose"))
    }
    return data, maps, images


@pytest.mark.parametrize("form", DTYPES)
def test_files_of_every_form_give_the_figures_of_the_arrays(tmp_path, form):
    data, maps = tmp_path / "data", tmp_path / "maps"
    images = draw(3, dtype=DTYPES[form], count=8)
    known = write_category(data / "bolt", maps / "bolt" / "test", images, form)
    found = evaluate(data, maps, replicates=0).report["categories"]["bolt"]["figures"]
    exact = values(measure(rank_exactly(known)))
    assert {key: figure["value"] for key, figure in found.items()} == pytest.approx(exact)


def test_one_category_in_the_official_folder_form(tmp_path):
    data, maps = tmp_path / "data", tmp_path / "maps"
    known = write_category(data / "bolt", maps, draw(4, dtype="uint16", count=8), "png")
    exact = values(measure(rank_exactly(known)))["auc_spro_0.05"]
    for root in (data, data / "bolt"):
        found = evaluate(root, maps, replicates=0).report["mean"]
        assert found["auc_spro_0.05"]["value"] == pytest.approx(exact)


def test_official_mode_gives_the_official_areas_and_resizes(tmp_path):
    data, maps = tmp_path / "data", tmp_path / "maps"
    images = draw(5, dtype="uint16", count=8)
    known = write_category(data / "bolt", maps, images, "png")
    found = evaluate(data, maps, mode="official", replicates=0).report["mean"]
    expected = spro_areas(
        [image.map for image in known], [image.regions for image in known], mode="official"
    )
    areas = {limit: found[f"auc_spro_{limit}"]["value"] for limit in LIMITS}
    assert areas == pytest.approx(expected, abs=1e-12)
    resized = []
    for image in known:
        small = Image.fromarray(image.map).resize((40, 30))
        (path,) = maps.glob(f"*/{len(resized):04d}.png")
        small.save(path)
        resized.append(np.asarray(small.resize((80, 60))))  # Pillow's default filter: bicubic
    smaller = evaluate(data, maps, mode="official", replicates=0).report["mean"]
    expected = spro_areas(resized, [image.regions for image in known], mode="official")
    for limit, area in expected.items():
        assert smaller[f"auc_spro_{limit}"]["value"] == pytest.approx(area, abs=1e-12)
    with pytest.raises(DataError, match=r"0000.png: the map is 40 x 30, its image 80 x 60: .*own"):
        evaluate(data, maps, replicates=0)


def test_loco_gives_both_kinds_and_their_mean(tmp_path):
    data, maps = tmp_path / "data", tmp_path / "maps"
    names = {"missing": "logical_anomalies", "scratch": "structural_anomalies"}
    write_category(data / "box", maps / "box" / "test", draw(6, count=16), "tiff", names)
    evaluation = evaluate(data, maps, replicates=0)
    assert evaluation.report["data_set"] == "mvtec_loco"
    kinds = evaluation.report["categories"]["box"]["by_kind"]
    assert set(kinds) == {"logical", "structural", "mean"}
    both = [kinds[kind]["figures"]["auc_spro_0.05"]["value"] for kind in ("logical", "structural")]
    assert kinds["mean"]["figures"]["auc_spro_0.05"]["value"] == pytest.approx(np.mean(both))
    names = ("box", "box (logical)", "box (structural)", "box (mean)")
    assert [row["category"] for row in table_rows(evaluation)] == list(names)
    headline = evaluation.report["mean_by_kind"]["mean"]["auc_spro_0.05"]
    assert headline["value"] == kinds["mean"]["figures"]["auc_spro_0.05"]["value"]


def test_what_is_written(plant, tmp_path):
    data, maps, images = plant
    evaluation = evaluate(data, maps, limits=[0.05, 0.3], replicates=300)
    out = tmp_path / "out"
    paths = write_evaluation(evaluation, out)
    assert {str(path.relative_to(out)) for path in paths} == {
        *("figures.json", "fpr_spro.svg", "fpr_spro.png", "bolt/metrics.json", "bolt/curves.csv"),
        *("hose/metrics.json", "hose/curves.csv"),
    }
    exact = values(measure(rank_exactly(images["bolt"]), [0.05, 0.3]))
    official = json.loads((out / "bolt" / "metrics.json").read_text())
    assert official == {
        "localization": {
            "auc_spro": {
                "0.05": pytest.approx(exact["auc_spro_0.05"]),
                "0.3": pytest.approx(exact["auc_spro_0.3"]),
            }
        }
    }
    report = json.loads((out / "figures.json").read_text())
    figure = report["categories"]["bolt"]["figures"]["pixel_auroc"]
    assert figure["value"] == pytest.approx(exact["pixel_auroc"])
    assert (figure["low"], figure["no_interval"]) == (None, "under 20 images")  # of 5 and 5
    figure = report["categories"]["bolt"]["figures"]["image_auroc"]
    assert figure["low"] < figure["value"] <= figure["high"]
    with (out / "bolt" / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    x, y = ([float(row[name]) for row in rows] for name in ("fpr", "spro"))
    whole = values(measure(rank_exactly(images["bolt"])))["auc_spro_1.0"]
    assert np.trapezoid(y, x) == pytest.approx(whole, abs=1e-3)
    drawing = ElementTree.parse(out / "fpr_spro.svg").getroot()
    words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"bolt", "hose", "0.05", "0.3"} <= set(words)
    with Image.open(out / "fpr_spro.png") as picture:
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 4


def test_the_table_has_a_row_a_category_and_the_mean(plant):
    data, maps, _ = plant
    rows = table_rows(evaluate(data, maps, limits=[0.05], replicates=200))
    assert [row["category"] for row in rows] == ["bolt", "hose", "mean"]
    assert rows[0]["good"] == "5"
    assert rows[0]["auc_spro_0.05"].endswith(" (under 20 images)")
    value, interval = rows[0]["image_auroc"].split(" ")
    low, high = (float(end) for end in interval.strip("()").split("-"))
    assert low <= float(value) <= high
    plain = table_rows(evaluate(data, maps, limits=[0.05], replicates=0, categories=["hose"]))
    assert [row["category"] for row in plain] == ["hose"]
    assert plain[0]["auc_spro_0.05"].endswith(" (not redrawn)")


def test_runs_repeat_and_the_seed_moves_only_intervals(tmp_path):
    data, maps = tmp_path / "data", tmp_path / "maps"
    write_category(data / "bolt", maps / "bolt" / "test", draw(0, dtype="float64", count=40))
    first, again, other = (
        evaluate(data, maps, replicates=50, seed=seed).report["mean"]["pixel_ap"]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first["value"] == other["value"]
    assert first["low"] != other["low"]


def test_an_image_without_mask_is_warned_of_and_counts_for_image_figures(plant):
    data, maps, _ = plant
    before = evaluate(data, maps, replicates=0).report["categories"]["bolt"]
    shutil.rmtree(data / "bolt" / "ground_truth" / "missing")
    found = evaluate(data, maps, replicates=0).report
    bolt = found["categories"]["bolt"]
    assert found["warnings"] == ["bolt: 3 defective images have no mask"]
    for key, figure in before["figures"].items():
        same = bolt["figures"][key]["value"] == figure["value"]
        assert same == key.startswith("image")
    assert np.isnan(bolt["by_defect"]["missing"]["figures"]["pixel_ap"]["value"])


def test_all_good_is_nan_not_a_crash(tmp_path):
    data, maps = tmp_path / "data", tmp_path / "maps"
    write_category(data / "bolt", maps, draw(1, count=8)[::2])
    evaluation = evaluate(data, maps)
    assert all(np.isnan(figure["value"]) for figure in evaluation.report["mean"].values())
    write_evaluation(evaluation, tmp_path / "out")
    official = json.loads((tmp_path / "out" / "bolt" / "metrics.json").read_text())
    assert official["localization"]["auc_spro"]["0.3"] is None
    assert table_rows(evaluation)[0]["auc_spro_0.3"] == "-"


def spoil(path: Path, scores=None, text=None):
    """A test image's map is replaced by something else."""

    def change(data, maps):
        target = maps / path
        if scores is not None:
            np.save(target, scores)
        elif text is not None:
            target.write_bytes(text)
        else:
            target.unlink()

    return change


GOOD_MAP, BAD_MAP = Path("bolt/test/good/0000.npy"), Path("bolt/test/scratch/0003.npy")
ONE = np.ones((60, 80))


def with_(value, at=(3, 4)):
    scores = np.ones((60, 80))
    scores[at] = value
    return scores


def second_form(data, maps):
    save(maps / GOOD_MAP.with_suffix(".png"), np.ones((60, 80), np.uint8))


def other_type(data, maps):
    np.save(maps / BAD_MAP, np.ones((60, 80), np.float32))


def colour(data, maps):
    (maps / GOOD_MAP).unlink()
    save(maps / GOOD_MAP.with_suffix(".png"), np.ones((60, 80, 3), np.uint8))


def palette(data, maps):
    (maps / GOOD_MAP).unlink()
    picture = Image.fromarray(np.ones((60, 80, 3), np.uint8)).convert("P")
    picture.save(maps / GOOD_MAP.with_suffix(".png"))


def no_maps(data, maps):
    shutil.rmtree(maps)


def no_category(data, maps):
    shutil.rmtree(maps / "hose")


def no_test_images(data, maps):
    shutil.rmtree(data / "hose" / "test")


def other_mask(data, maps):
    path = data / "bolt" / "ground_truth" / "scratch" / "0003" / "0000.png"
    save(path, np.full((60, 81, 3), 200, np.uint8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil(GOOD_MAP), r"good/0000.png: .*data/bolt/test/good/0000.png has no anomaly map"),
        (spoil(GOOD_MAP, with_(np.nan)), r"good/0000.npy: a score is nan: expected finite"),
        (spoil(BAD_MAP, with_(np.inf)), r"scratch/0003.npy: a score is inf"),
        (spoil(BAD_MAP, with_(-np.inf)), r"scratch/0003.npy: a score is -inf"),
        (spoil(GOOD_MAP, ONE[:, :79]), r"good/0000.npy: the map is 79 x 60, its image 80 x 60"),
        (spoil(GOOD_MAP, ONE[None]), r"good/0000.npy: a map is one channel .*\(1, 60, 80\)"),
        (spoil(GOOD_MAP, ONE.astype("U1")), r"good/0000.npy: a map is one channel"),
        (spoil(GOOD_MAP, text=b"\x93NUMPY\x01"), r"good/0000.npy: cannot be read as an anomaly"),
        (spoil(GOOD_MAP, text=b""), r"good/0000.npy: cannot be read as an anomaly map"),
        (spoil(BAD_MAP, np.array([{}, 1], object)), r"scratch/0003.npy: cannot be read"),
        (second_form, r"good/0000.png: .* has another map, 0000.npy: keep one"),
        (other_type, r"scratch/0003.npy: the map is float32, .*0000.npy float64: .*two runs"),
        (colour, r"good/0000.png: a map is one channel .*\(60, 80, 3\)"),
        (palette, r"good/0000.png: a map is one channel .*colour picture"),
        (no_maps, r"maps: there is no such folder of anomaly maps"),
        (no_category, r"hose/test/good/0000.png: .* has no anomaly map"),
        (no_test_images, r"data/hose/test: no image to evaluate"),
        (other_mask, r"0003/0000.png: the mask is 81 x 60, its image 80 x 60"),
    ],
)
def test_bad_input_is_one_line_that_names_the_file(plant, change, message):
    data, maps, _ = plant
    change(data, maps)
    with pytest.raises(DataError, match=message) as caught:
        evaluate(data, maps, replicates=0)
    assert "\n" not in str(caught.value)


def test_bad_arguments_are_refused(plant):
    data, maps, _ = plant
    with pytest.raises(ConfigError, match=r"limits = 0, 0\.5"):
        evaluate(data, maps, limits=[0, 0.5])
    with pytest.raises(ConfigError, match=r"mode = 'offical' .did you mean 'official'"):
        evaluate(data, maps, mode="offical")
    with pytest.raises(DataError, match=r"no category 'blot' .did you mean 'bolt'"):
        evaluate(data, maps, categories=["blot"])


def test_every_module_can_be_reached_by_its_path():
    """A function of a module's own name would take the module's place in the package."""
    for module in pkgutil.iter_modules(fedad.evaluation.__path__):
        found = importlib.import_module(f"fedad.evaluation.{module.name}")
        assert getattr(fedad.evaluation, module.name) is found


BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("flwr", "torch", "timm", "ray", "matplotlib"):
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Refuse())
from pathlib import Path
from fedad.evaluation import evaluate, table_rows, write_evaluation

evaluation = evaluate(Path(sys.argv[1]), Path(sys.argv[2]), replicates=20)
print(len(write_evaluation(evaluation, Path(sys.argv[3]))), len(table_rows(evaluation)))
"""


def test_it_imports_neither_flower_nor_torch(plant, tmp_path):
    data, maps, _ = plant
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, data, maps, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["7", "3"]


def test_the_benchmark_runs():
    root = Path(__file__).parents[2]
    small = ("--maps", "4", "--thresholds", "10", "--files", "2")
    done = subprocess.run(
        [sys.executable, root / "benchmarks" / "spro.py", *small],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert "| 4 x float32 |" in done.stdout
    assert "evaluate, 2 uint16 maps of 1000 x 750" in done.stdout
