"""AutoVI as it is downloaded, by its names and counts, in images of a few pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedad.compare.compare import compare
from fedad.compare.plan import read_plan
from fedad.compare.unsited import without_unsited
from fedad.plumbing.progress import Silent
from fedad.reporting.run_folder import read_comparison
from fedad.running.launch import sites_of

MATRIX = Path(__file__).parents[2] / "configs" / "compare" / "autovi.yaml"
# Train, good and defective test images, defects, of AutoVI's paper and files.
COUNTS = {
    "engine_wiring": (
        285,
        285,
        322,
        ("blue_hoop", "cardboard", "fastening", "multiple", "obstruction"),
    ),
    "pipe_clip": (195, 195, 142, ("operator", "unclipped")),
    "pipe_staple": (191, 188, 117, ("missing",)),
    "tank_screw": (318, 318, 95, ("missing",)),
    "underbody_pipes": (161, 161, 184, ("multiple", "obstruction", "operator")),
    "underbody_screw": (373, 374, 18, ("missing",)),
}


def draw(root, share=1.0, size=(12, 9)):
    """Every product's folder inside another of its name, as unzipping leaves it."""
    rng = np.random.default_rng(0)
    for product, (train, good, bad, defects) in COUNTS.items():
        folder = root / product / product
        splits = [("train/good", train), ("test/good", good)]
        splits += [(f"test/{name}", -(-bad // len(defects))) for name in defects]
        for place, count in splits:
            (folder / place).mkdir(parents=True)
            for k in range(max(2, round(share * count))):
                pixels = rng.integers(0, 90, (*size[::-1], 3), np.uint8)
                if "good" not in place:
                    pixels[2:6, 2:6] = 255
                    truth = folder / place.replace("test", "ground_truth") / f"{k:04d}"
                    truth.mkdir(parents=True)
                    mask = np.zeros_like(pixels)
                    mask[2:6, 2:6] = 255
                    Image.fromarray(mask).save(truth / "0000.png")
                Image.fromarray(pixels).save(folder / place / f"{k:04d}.png")
        (folder / "defects_config.json").write_text(
            '[{"defect_name": "any", "pixel_value": 255, "saturation_threshold": 1.0, '
            '"relative_saturation": true}]'
        )
    return root


@pytest.fixture(scope="module")
def autovi(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("autovi"))


def test_the_matrix_deals_autovi_out_as_it_is_downloaded(autovi):
    plan, left_out = without_unsited(read_plan(MATRIX, [f"data.dir={autovi}"]))
    assert len(left_out) == 4
    assert (
        left_out[0]
        == f"natural, images 5: left out: {autovi} has no sites.csv, which says the sites"
    )
    labels = [point.label for point in plan.points]
    assert labels == [f"{p}, images {n}" for p in ("iid", "category") for n in (5, 20, 50, 0)]
    for point in plan.points:
        config = plan.config(point, 0)
        sites = sites_of(config)
        most = config.data.images or 373
        for site in sites:
            of = {name: sum(s.category == name for s in site.train) for name in COUNTS}
            assert max(of.values()) <= most
            if config.data.partition == "iid" and config.data.images in (5, 20):
                assert set(of.values()) == {most}
        assert len(sites) == (5 if config.data.partition == "iid" else 6)
        if not config.data.images:
            assert sum(len(site.train) for site in sites) == 1523


def test_natural_points_are_there_where_a_list_names_sites(autovi, tmp_path):
    for folder in autovi.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    images = sorted(path for path in autovi.rglob("*.png") if "ground_truth" not in path.parts)
    rows = [f"{p.relative_to(autovi).as_posix()},site-{k % 3}" for k, p in enumerate(images)]
    (tmp_path / "sites.csv").write_text("\n".join(["file,site", *rows]))
    plan, left_out = without_unsited(read_plan(MATRIX, [f"data.dir={tmp_path}"]))
    assert (len(plan.points), left_out) == (12, [])


def test_a_matrix_of_nothing_else_is_left_whole(autovi, tmp_path):
    """What then goes wrong is said where sites are dealt."""
    path = tmp_path / "matrix.yaml"
    path.write_text("set: {data.dataset: autovi}\naxes: {data.images: [5, 20]}")
    plan = read_plan(path, [f"data.dir={autovi}"])
    assert without_unsited(plan) == (plan, [])


@pytest.mark.reliability
def test_the_matrix_runs_and_says_what_it_left_out(tmp_path, knobs):
    root = draw(tmp_path / "autovi", share=0.03)
    own = {key: value for key, value in knobs.items() if not key.startswith("data.")}
    settings = {**own, "data.dir": str(root), "score.replicates": 0}
    plan = read_plan(MATRIX, [f"{key}={value}" for key, value in settings.items()])
    plan = plan.changed(seeds=2, leave_one_out=0)
    said: list[str] = []
    compare(plan, tmp_path / "out", via="local", jobs=1, sink=Silent(), say=said.append)
    assert sum("left out" in line for line in said) == 4
    found = read_comparison(tmp_path / "out")
    assert sum("left out" in note for note in found["notes"]) == 4
    wheres = {curve["where"] for curve in found["sizes"]}
    assert {where.split(",")[0] for where in wheres} == {
        "data.partition = category",
        "data.partition = iid",
    }
