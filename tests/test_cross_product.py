"""The cross-product protocol: nobody learns from what is judged, and no product is known."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedad.config import DataKnobs, read
from fedad.datasets.base import open_dataset
from fedad.datasets.cross_product import material_of, protocols_of
from fedad.drawing.plan import DrawingPlan
from fedad.drawing.provide import provide
from fedad.drawing.sets import SETS
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError
from fedad.partition import partition
from fedad.reporting.record import figures_of
from fedad.round import run_round
from fedad.types import Dataset, Sample
from fedad.yardsticks import isolated

MATERIALS = st.dictionaries(
    st.sampled_from(["cloth", "metal", "wafer"]), st.integers(2, 7), min_size=1
)


def dataset(materials, train=5, good=4, bad=6, skip=()) -> Dataset:
    """`materials`: name -> how many products; `skip`: (product, split) pairs that have no image."""
    samples = []
    for material, count in materials.items():
        for number in range(count):
            product = f"{material}_{number}"
            for split, defect, images in (
                ("train", "good", train),
                ("test", "good", good),
                ("test", "scratch", bad),
            ):
                folder = Path("/data") / product / split / defect
                samples += [
                    Sample(product, split, defect, folder / f"{k:03d}.png")
                    for k in range(images)
                    if (product, split) not in skip
                ]
    return Dataset("drawn", Path("/data"), "", tuple(samples))


def cross(**given_) -> DataKnobs:
    return DataKnobs(partition="cross_product", **given_)


def product(sample: Sample) -> str:
    return sample.path.parents[2].name


@given(materials=MATERIALS, seed=st.integers(0, 50), count=st.integers(1, 3))
def test_no_product_is_both_learned_and_judged_and_none_is_known(materials, seed, count):
    images, settings = dataset(materials), cross(sites=count)
    seen = sum(len(p.seen) for p in protocols_of(images, settings, seed).values())
    if count > seen:
        with pytest.raises(ConfigError, match=f"data.sites = {count}: .* there are {seen}"):
            partition(images, settings, seed=seed)
        return
    sites = partition(images, settings, seed=seed)
    learned = [sample for site in sites for sample in site.train]
    judged = [sample for site in sites for sample in site.test]
    assert not {product(s) for s in learned} & {product(s) for s in judged}
    assert {product(s) for s in (*learned, *judged)} == set(images.categories)
    assert {s.category for s in (*learned, *judged)} == set(materials)
    names = [s.name for s in (*learned, *judged)]
    assert len(names) == len(set(names))
    paths = [s.path for s in (*learned, *judged)]
    assert len(paths) == len(set(paths))
    assert all(Counter(product(s) for s in judged)[one] == 10 for one in {*map(product, judged)})
    homes = [{product(s) for s in site.train} for site in sites]
    assert sum(map(len, homes)) == len(set().union(*homes)) == seen
    for site in sites:
        assert site.train
        assert {s.category for s in site.test} <= {s.category for s in site.train}


@pytest.mark.parametrize(("of", "unseen"), [(15, 5), (14, 5), (10, 4), (5, 2), (4, 1), (2, 1)])
def test_as_many_are_unseen_as_the_benchmark_has(of, unseen):
    (protocol,) = protocols_of(dataset({"cloth": of}), cross(), 0).values()
    assert (len(protocol.unseen), len(protocol.seen)) == (unseen, of - unseen)


def test_another_seed_chooses_other_products_and_the_same_the_same():
    images = dataset({"cloth": 12})
    chosen = {protocols_of(images, cross(), seed)["cloth"].unseen for seed in range(8)}
    assert len(chosen) > 4
    assert protocols_of(images, cross(), 3) == protocols_of(images, cross(), 3)


def test_the_deal_does_not_depend_on_the_order_of_the_files():
    images = dataset({"cloth": 5, "metal": 4})
    turned = Dataset("drawn", images.root, "", tuple(reversed(images.samples)))
    for one, other in zip(
        partition(images, cross(sites=3), seed=1),
        partition(turned, cross(sites=3), seed=1),
        strict=True,
    ):
        assert [s.name for s in one.train] == [s.name for s in other.train]
        assert [s.name for s in one.test] == [s.name for s in other.test]


def test_test_images_are_dealt_evenly_to_those_who_learn_the_material():
    sites = partition(dataset({"cloth": 8}, good=30, bad=30), cross(sites=3), seed=2)
    judged = [Counter(product(s) for s in site.test) for site in sites]
    for one in judged[0]:
        shares = [counts[one] for counts in judged]
        assert max(shares) - min(shares) <= 2


def test_what_cannot_be_learned_from_is_judged_and_the_reverse():
    skip = {("cloth_1", "train"), ("cloth_3", "test")}
    for seed in range(6):
        (protocol,) = protocols_of(dataset({"cloth": 4}, skip=skip), cross(), seed).values()
        assert "cloth_1" in protocol.unseen
        assert "cloth_3" in protocol.seen


def test_a_material_of_one_product_is_refused_with_its_products():
    with pytest.raises(ConfigError, match="material 'metal' has metal_0: expected a product"):
        partition(dataset({"cloth": 3, "metal": 1}), cross(), seed=0)


@pytest.mark.parametrize(
    ("name", "pattern", "material"),
    [
        ("cloth_07", "", "cloth"),
        ("cloth07", "", "cloth"),
        ("woven_cloth_7", "", "woven_cloth"),
        ("cloth-red_2", "", "cloth"),
        ("7", "", "7"),
        ("red_cloth", "[^_]+$", "cloth"),
        ("red.cloth.3", r"\.(\w+)\.", "cloth"),
    ],
)
def test_a_material_is_found_in_the_name_of_a_product(name, pattern, material):
    assert material_of(name, cross(material=pattern)) == material


@pytest.mark.parametrize(("pattern", "says"), [("(", "no regular expression"), ("xyz", "finds")])
def test_a_pattern_that_finds_nothing_is_named(pattern, says):
    with pytest.raises(ConfigError, match=f"data.material = .*{says}"):
        material_of("cloth_1", cross(material=pattern))


def test_images_of_a_part_stay_apart_from_those_of_another_product():
    images = dataset({"cloth": 3})
    grouped = Dataset(
        "drawn",
        images.root,
        "",
        tuple(
            Sample(s.category, s.split, s.defect, s.path, group=s.path.stem) for s in images.samples
        ),
    )
    (site,) = partition(grouped, cross(sites=1), seed=0)
    assert len({s.part for s in site.train}) == 2 * 5


def test_drawn_textures_run_under_the_protocol(knobs, tmp_path):
    """One bank a material, made of the seen products; every site has something to judge."""
    provide(tmp_path / "metal", SETS["metal"], DrawingPlan(0, 64, 3, 4, 8, sites=2))
    ours = {"data.dir": str(tmp_path / "metal"), "data.partition": "cross_product"}
    config = read({**knobs, **ours, "data.sites": 2})
    sites = partition(open_dataset(config.data), config.data, seed=0)
    embed = Embedder(config.embedder)
    told = run_round(config, sites, embed)
    figures = figures_of(told.findings)
    assert [*figures["together"]["categories"]] == ["metal"]
    assert told.model.categories == ("metal",)
    sizes = figures["together"]["pooled"]["sizes"]
    assert (sizes["good_images"], sizes["defective_images"]) == (4, 8)  # of one unseen product
    assert isolated(config, sites, embed).keys() == {"site-0", "site-1"}


def test_a_seen_product_brings_its_validation_images_and_an_unseen_one_none():
    images = dataset({"cloth": 4})
    given_ = tuple(
        replace(one, split="validation") for one in images.samples if one.split == "train"
    )
    images = replace(images, samples=(*images.samples, *given_))
    (protocol,) = protocols_of(images, cross(), 0).values()
    for site in partition(images, cross(sites=2), seed=0):
        learned = {product(sample) for sample in site.train}
        assert {product(sample) for sample in site.held} == learned <= {*protocol.seen}
