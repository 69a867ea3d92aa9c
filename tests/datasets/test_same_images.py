"""The same real images in ten layouts: one bank and one set of figures, whoever laid them out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedad.config import DataKnobs, read
from fedad.datasets.base import open_dataset, open_folder
from fedad.embedders.embedder import Embedder
from fedad.images.pixels import image_size, read_region
from fedad.partition import partition
from fedad.round import run_round

SHARED = Path(__file__).parents[3] / "shared" / "data" / "layouts"
LAYOUTS = Path(os.environ.get("FEDAD_LAYOUTS", SHARED))
# The folder to name -> data set, (train good, test good, test defective) of a product, masks.
ROOTS = {
    "autovi": ("autovi", (12, 8, 8), 14),
    "autovi/fryum": ("autovi", (12, 8, 8), 14),
    "mvtec_loco": ("mvtec_loco", (12, 8, 8), 14),
    "mvtec_ad": ("mvtec_ad", (12, 8, 8), 8),
    "mvtec_ad_2": ("mvtec_ad_2", (12, 8, 8), 8),
    "mpdd": ("mpdd", (12, 8, 8), 8),
    "mpdd/MPDD": ("mpdd", (12, 8, 8), 8),
    "btad": ("btad", (12, 8, 8), 8),
    "btad/BTech_Dataset_transformed": ("btad", (12, 8, 8), 8),
    "visa": ("visa", (12, 8, 8), 8),
    "visa_pytorch/1cls": ("visa", (12, 8, 8), 8),
    "flat_good_bad": ("folder", (12, 8, 8), 0),
}
OTHERS = {
    "good_only": ("folder", (12, 0, 0), 0),
    "original/mvtec_ad": ("mvtec_ad", (12, 2, 8), 8),
    "original/visa": ("visa", (1, 1, 2), 2),
}


@pytest.fixture(scope="module", autouse=True)
def _there():
    if not LAYOUTS.is_dir():
        pytest.skip(f"{LAYOUTS} is not there: set FEDAD_LAYOUTS to the folder of layouts")


@pytest.fixture(scope="module")
def small(knobs):
    own = {"data.dataset": "auto", "data.partition": "iid", "data.sites": 1}
    return read({**knobs, **own, "embedder.cache": "off", "score.replicates": 0})


@pytest.fixture(scope="module")
def embed(small):
    return Embedder(small.embedder)


def of(config, place: str, **more):
    own = replace(config.data, dir=str(LAYOUTS / place), **more)
    return replace(config, data=own)


def judged(config, embed, place: str, **more):
    """The bank of one site, and its figures."""
    config = of(config, place, **more)
    sites = partition(open_dataset(config.data), config.data, seed=0)
    outcome = run_round(config, sites, embed)
    (found,) = outcome.findings.values()
    return outcome.model, found


@pytest.fixture(scope="module")
def first(small, embed):
    return judged(small, embed, "autovi")


@pytest.mark.parametrize("place", {**ROOTS, **OTHERS})
def test_each_is_recognised_and_counted(place):
    name, counts, masks = {**ROOTS, **OTHERS}[place]
    data = open_folder(LAYOUTS / place)
    assert data.name == name
    for category in data.categories:
        own = [one for one in data.samples if one.category == category]
        found = Counter((one.split, one.is_good) for one in own)
        assert (found["train", True], found["test", True], found["test", False]) == counts
        channels = [channel for one in own for channel in one.masks or ()]
        assert len(channels) == masks
    assert not {fault.reason for fault in data.faults} - {"aside", "no-mask"}


def test_mask_unions_are_equal_in_all_layouts():
    def unions(place: str) -> list[bytes]:
        data = open_folder(LAYOUTS / place)
        category = data.categories[0]
        found = []
        for one in data.samples:
            if one.category == category and one.masks:
                size = image_size(one.path)
                masks = [read_region(channel, size).mask for channel in one.masks]
                found.append(np.logical_or.reduce(masks).tobytes())
        return sorted(found)

    expected = unions("autovi")
    for place, (_, _, masks) in ROOTS.items():
        if masks:
            assert unions(place) == expected, place


@pytest.mark.parametrize("place", [place for place in ROOTS if place != "autovi"])
def test_bank_rows_and_image_auroc_are_equal_bit_for_bit(place, small, embed, first):
    bank, found = first
    category = "01" if place.startswith("btad") else ""
    model, other = judged(small, embed, place, categories=category)
    assert model.rows.tobytes() == bank.rows.tobytes()
    ours, theirs = _figures(found), _figures(other)
    assert theirs["image_auroc"] == ours["image_auroc"]
    if ROOTS[place][2]:
        for key in ("pixel_auroc", "pixel_ap"):
            assert theirs[key] == ours[key], key
    if ROOTS[place][2] == ROOTS["autovi"][2]:  # with the same mask files
        assert theirs == ours


def _figures(found) -> dict[str, float]:
    from fedad.evaluation import summarise

    pooled = summarise(found.counts)["pooled"]["figures"]
    return {key: figure["value"] for key, figure in pooled.items()}


def test_the_three_products_of_btad_are_the_same_images(small, embed, first):
    for category in ("02", "03"):
        model, _ = judged(small, embed, "btad", categories=category)
        assert model.rows.tobytes() == first[0].rows.tobytes()


@pytest.mark.parametrize("sites", [2, 3])
def test_the_iid_deal_of_training_images_is_the_same_in_all(sites):
    """By the place of each image among its like; the product's name is part of the draw."""

    def dealt(place: str) -> list[list[int]]:
        data = open_folder(LAYOUTS / place)
        renamed = tuple(
            replace(one, category="fryum")
            for one in data.samples
            if one.category == data.categories[0]
        )
        learned = sorted(one.path for one in renamed if one.split == "train")
        knobs = DataKnobs(partition="iid", sites=sites)
        found = partition(replace(data, samples=renamed), knobs, seed=3)
        return [[learned.index(one.path) for one in site.train] for site in found]

    expected = dealt("autovi")
    for place in ROOTS:
        assert dealt(place) == expected, place


def test_good_images_alone_give_a_bank_and_say_why_figures_are_missing(small, embed):
    model, found = judged(small, embed, "good_only")
    assert len(model)
    assert not found.counts.cells
