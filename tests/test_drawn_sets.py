"""The drawn sets: read by the usual readers, whole, repeatable, with defects that are seen."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedad.cli import app
from fedad.config import DataKnobs
from fedad.drawing.plan import DrawingPlan, Shot, draw_image
from fedad.drawing.plants import PLANTS, plants
from fedad.drawing.provide import provide
from fedad.drawing.sets import SETS, TO_A_VALIDATION_IMAGE, drawn_set, plan_of
from fedad.errors import ConfigError, DataError
from fedad.images.pixels import image_size, read_region
from fedad.partition import partition
from fedad.plugins import plugin
from fedad.types import GOOD, Dataset

PLAN = DrawingPlan(seed=3, size=64, train=3, good=3, defective=8, sites=2)
LOCO = ("angle", "flat_connector", "special_construct")
WHOLE = ("loco", "textures")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    root = tmp_path_factory.mktemp("drawn")
    found = {}
    for name in WHOLE:
        provide(root / name, SETS[name], PLAN)
        found[name] = plugin("datasets", SETS[name].layout)(root / name)
    return found


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", WHOLE)
def test_the_usual_reader_finds_every_image_and_nothing_wrong(drawn, name):
    dataset = drawn[name]
    assert not dataset.faults
    assert dataset.categories == tuple(sorted(one.name for one in SETS[name].products))
    planned = {(shot.product.name, shot.file) for shot in SETS[name].shots(PLAN)}
    found = {
        (sample.category, sample.path.relative_to(dataset.root / sample.category).as_posix())
        for sample in dataset.samples
    }
    assert found == planned
    assert len(dataset.samples) == len(planned)


@pytest.mark.parametrize("name", WHOLE)
def test_masks_have_the_size_of_their_image_and_one_listed_value(drawn, name):
    for sample in drawn[name].samples:
        size = image_size(sample.path)
        assert size == (64, 64)
        assert sample.is_good == (sample.masks == ())
        for mask in sample.masks or ():
            region = read_region(mask, size)  # refuses an empty mask and a value that is not listed
            assert 1 <= region.saturation <= region.mask.sum() < 0.4 * 64 * 64


def test_loco_has_its_folders_kinds_and_grey_masks(drawn):
    for sample in drawn["loco"].samples:
        if not sample.is_good:
            assert sample.defect == f"{sample.kind}_anomalies"
            with Image.open(sample.masks[0].path) as mask:
                assert mask.mode == "L"
    kinds = Counter(sample.kind for sample in drawn["loco"].samples)
    assert kinds["structural"] == kinds["logical"] > 0
    for name in LOCO:
        validation = list((drawn["loco"].root / name / "validation" / "good").iterdir())
        views = 2 if name == "angle" else 1
        assert len(validation) == views * PLAN.sites * -(-PLAN.train // TO_A_VALIDATION_IMAGE)


def test_saturation_follows_the_rules_of_loco():
    for product in SETS["loco"].products:
        readings = {
            name: reading
            for defect in product.defects.values()
            for name, reading in defect.readings.items()
        }
        for name in ("edge_damage", "cut_corner", "deep_scratch", "additional_hole"):
            assert (readings[name].share, readings[name].relative) == (1.0, True)
        for name in ("missing_hole", "wider_hole", "narrower_hole"):
            assert not readings[name].relative
            smallest = min(area(product, name, seed) for seed in range(8))
            assert 0.5 < readings[name].saturation(128).threshold / smallest < 1.1


def area(product, defect: str, seed: int) -> int:
    """The least that any view shows of what is missing, or of what is another size."""
    sizes = []
    for variant, view in enumerate(product.views or ("",)):
        shot = Shot(product, PLANTS[seed % 3], variant, "test", defect, seed, 0, view=view)
        _, masks = draw_image(shot, seed=seed, size=128)
        sizes.append(masks[defect].sum())
    whole = min(sizes)
    if defect == "wider_hole":
        return whole * (1 - 1 / 1.25**2)
    return whole * (1 - 0.75**2) if defect == "narrower_hole" else whole


def test_two_views_of_an_angle_are_one_part(drawn):
    folder = drawn["loco"].root / "angle"
    with (folder / "sites.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    views = Counter(row["part"] for row in rows)
    assert set(views.values()) == {2}
    for row in rows:
        assert row["file"].startswith(row["part"] + "_")
    shots = [shot for shot in SETS["angle"].shots(PLAN) if shot.defect == "additional_hole"]
    for one, other in zip(shots[::2], shots[1::2], strict=True):
        assert one.part == other.part
        first, second = (draw_image(shot, seed=3, size=96) for shot in (one, other))
        assert (first[0] != second[0]).any()
        seen = [masks["additional_hole"].sum() for _, masks in (first, second)]
        assert max(seen) > 1.5 * min(seen)  # a leg that faces one view is seen from its side


@pytest.mark.parametrize("size", [64, 128])
def test_every_defect_of_every_product_is_seen_and_changes_its_picture(size):
    for product in (*SETS["loco"].products, *SETS["textures"].products):
        for defect in product.defects:
            for take in range(3):
                view = product.views[take % 2] if product.views else ""
                shot = Shot(product, PLANTS[take], take % 2, "test", defect, take, 0, view=view)
                image, masks = draw_image(shot, seed=5, size=size)
                assert set(masks) == set(shot.readings)
                assert all(mask.sum() >= 3 for mask in masks.values()), (product.name, defect)
                assert image.shape == (size, size, 3)
                assert image.std() > 3


def test_a_texture_is_made_at_one_site_and_a_part_at_all(drawn):
    knobs = DataKnobs(partition="natural")
    sites = partition(drawn["textures"], knobs, seed=0)
    made = [{sample.category for sample in site.train} for site in sites]
    assert len(sites) == PLAN.sites
    assert not made[0] & made[1]
    for site in partition(drawn["loco"], knobs, seed=0):
        assert {sample.category for sample in site.train} == set(LOCO)
        assert len(site.train) == 4 * PLAN.train  # two views of the angle


def test_materials_have_several_products():
    materials = Counter(one.name.rpartition("_")[0] for one in SETS["textures"].products)
    assert set(materials) == {"cloth", "wafer", "metal"}
    assert min(materials.values()) >= 4


def test_a_part_of_a_set_has_the_pictures_of_the_whole(drawn, tmp_path):
    provide(tmp_path / "flat", SETS["flat_connector"], PLAN)
    of_whole = contents(drawn["loco"].root / "flat_connector")
    assert contents(tmp_path / "flat" / "flat_connector") == of_whole


def test_the_same_seed_draws_the_same_bytes_and_another_does_not(tmp_path):
    plan = DrawingPlan(seed=0, size=64, train=1, good=3, defective=4, sites=1)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        provide(tmp_path / name, SETS["metal"], DrawingPlan(**vars(plan) | {"seed": seed}))
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert first == again
    images = [name for name in first if "/train/" in name]
    assert images
    assert not any(first[name] == other[name] for name in images)


def test_plants_beyond_three_are_others_and_stay_as_they_are():
    assert plants(3) == PLANTS
    assert plants(6)[:5] == plants(5)
    assert len({plant.name for plant in plants(40)}) == 40
    assert len({plant.light for plant in plants(40)}) == 40


@pytest.mark.parametrize(("sites", "known"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_no_plant_judges_a_variant_that_none_builds(sites, known):
    shots = list(SETS["plants"].shots(DrawingPlan(sites=sites, size=64)))
    assert {shot.plant.name for shot in shots} == {plant.name for plant in plants(sites)}
    built = {shot.variant for shot in shots if shot.split == "train"}
    assert built == {shot.variant for shot in shots} == set(range(known))


@pytest.mark.parametrize("name", sorted(SETS))
def test_test_images_grow_with_those_to_learn_from(name):
    few, many = plan_of(SETS[name]), plan_of(SETS[name], images=300)
    assert many.train == 300
    assert min(many.good, many.defective) >= 75
    assert min(few.good, few.defective) >= 8
    assert plan_of(SETS[name], images=300, good=5).good == 5


def test_parts_in_a_tray_are_of_one_make_and_lie_anyhow():
    shots = list(SETS["random_pose"].shots(DrawingPlan(train=4, sites=2)))
    assert {shot.variant for shot in shots} == {0}
    assert Counter(shot.plant.name for shot in shots) == {"graz": 40, "lyon": 40}
    rng = np.random.default_rng(0)
    cameras = [shots[0].plant.aim(rng) for _ in range(200)]
    turns = np.array([camera.turn for camera in cameras])
    assert np.histogram(turns, 4, (0, 360))[0].min() > 30
    assert np.ptp([camera.shift for camera in cameras], axis=0).min() > 0.25


def test_a_wrong_name_is_answered_with_the_right_ones():
    with pytest.raises(ConfigError, match=r"no drawn set 'textrues'.+'textures'.+there are plants"):
        drawn_set("textrues")


def test_another_set_is_not_drawn_over(drawn):
    root = drawn["loco"].root
    before = contents(root)
    with pytest.raises(DataError, match="drawn with set = loco, expected set = angle"):
        provide(root, SETS["angle"], PLAN)
    with pytest.raises(DataError, match=r"neither empty nor .* drawn set"):
        provide(root.parent, SETS["angle"], PLAN)
    assert contents(root) == before


def test_the_command_draws_says_how_to_read_and_completes(tmp_path):
    words = ["data", "draw", "wafer", str(tmp_path / "w"), "--images", "2", "--size", "64"]
    words += ["--seed", "4", "--sites", "2", "--good", "3", "--defective", "4"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "45 images of wafer_1, wafer_2" in done.output
    assert "data.dataset=autovi" in done.output
    stamp = json.loads((tmp_path / "w" / "drawn.json").read_text())
    assert (stamp["set"], stamp["seed"], stamp["sites"]) == ("wafer", 4, 2)
    before = contents(tmp_path / "w")
    (tmp_path / "w" / "wafer_1" / "train" / GOOD / "0000.png").unlink()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert contents(tmp_path / "w") == before


@pytest.mark.parametrize(
    ("option", "value"),
    [("--images", "0"), ("--size", "63"), ("--seed", "-1"), ("--sites", "0"), ("--sites", "100")],
)
def test_the_command_refuses_what_cannot_be_drawn(tmp_path, option, value):
    words = ["data", "draw", "metal", str(tmp_path / "m"), option, value]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ConfigError)
    assert f"= {value}: expected" in str(done.exception)
    assert not (tmp_path / "m").exists()


def test_relief_is_lit_from_where_the_lamp_is():
    """A plant's pictures are its own: the same part looks otherwise at another."""
    product = SETS["metal"].products[0]
    one, other = (
        draw_image(Shot(product, plant, 0, "train", GOOD, 0, 0), seed=0, size=64)[0]
        for plant in PLANTS[:2]
    )
    assert np.abs(one.astype(int) - other.astype(int)).mean() > 2
