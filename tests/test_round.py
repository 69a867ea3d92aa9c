"""One round gives the same bytes however it is run, and in whatever order sites answer."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.judging.findings import Findings
from fedad.messages.coded import rounded
from fedad.messages.file import load
from fedad.partition import partition
from fedad.plumbing.progress import Bars
from fedad.reporting.record import figures_of
from fedad.round import run_round
from fedad.running.launch import launch
from fedad.yardsticks import ALL, centralised, isolated
from tests.evaluation.drawn import same


@pytest.fixture(scope="module")
def sites(config):
    return partition(open_dataset(config.data), config.data, seed=config.round.seed)


@pytest.fixture(scope="module")
def embed(config):
    return Embedder(config.embedder)


@pytest.fixture(scope="module")
def plain(config, sites, embed):
    return run_round(config, sites, embed)


def same_bank(one: Bank, other: Bank) -> None:
    for name in ("rows", "category", "site", "row", "images", "patches"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.sites, one.categories) == (other.sites, other.categories)


def same_findings(one: dict[str, Findings], other: dict[str, Findings]) -> None:
    assert one.keys() == other.keys()
    for site, found in one.items():
        for mine, theirs in (
            (found.counts, other[site].counts),
            (found.replicates, other[site].replicates),
        ):
            assert same(mine, theirs)


@pytest.fixture(scope="module")
def local(config, tmp_path_factory):
    return launch(
        config, via="local", root=tmp_path_factory.mktemp("runs"), with_yardsticks=True, sink=Bars()
    )


def figures(folder):
    return json.loads((folder / "record.json").read_text())["figures"]


def test_the_apps_in_process_give_the_bank_of_the_plain_round(local, plain):
    same_bank(load(local / "bank.safetensors", Bank), plain.model)


def test_flwr_run_gives_the_bank_and_the_figures_of_the_apps_in_process(
    config, local, tmp_path, plain
):
    flower = launch(config, via="flwr", root=tmp_path, with_yardsticks=False, sink=Bars())
    same_bank(load(flower / "bank.safetensors", Bank), plain.model)
    assert figures(flower)["federated"] == figures(local)["federated"]


def test_the_order_in_which_sites_answer_does_not_matter(config, sites, embed, plain):
    other = run_round(config, sites[::-1], embed)
    same_bank(other.model, plain.model)
    same_findings(dict(sorted(other.findings.items())), plain.findings)


def test_another_seed_draws_other_rows_and_kcenter_draws_none(config, sites, embed, plain):
    other = replace(config, round=replace(config.round, seed=1))
    same_bank(run_round(other, sites, embed).model, plain.model)
    drawn = [
        run_round(replace(c, coreset=replace(c.coreset, selection="uniform")), sites, embed)
        for c in (config, other)
    ]
    assert not np.array_equal(*(one.model.rows for one in drawn))


def test_one_site_is_centralised(config, sites, embed):
    samples = sorted((s for site in sites for s in site.train), key=lambda s: s.name)
    whole = replace(sites[0], name=ALL, train=tuple(samples))
    alone = run_round(config, [whole, *(replace(s, train=()) for s in sites)], embed)
    del alone.findings[ALL]
    same_findings(alone.findings, centralised(config, sites, embed))


def test_isolated_and_centralised_banks_have_the_rows_of_the_federated_one(
    config, sites, embed, plain
):
    assert len(plain.model) == 6 * 2 * 64 // 4
    assert set(isolated(config, sites, embed)) == {site.name for site in sites}


def test_a_site_without_test_images_has_nothing_to_rank(config, sites, embed):
    """A line that only teaches, or one whose test images are of products that it does not know."""
    some = [replace(sites[0], test=()), sites[1]]
    for judged in (isolated, centralised):
        found = figures_of(judged(config, some, embed))
        assert found["sites"][sites[0].name]["categories"] == {}
        assert set(found["sites"][sites[1].name]["categories"]) == {"bolt", "hose"}


@pytest.fixture(params=["float16", "int8"])
def shorter(request, config):
    return replace(config, wire=replace(config.wire, dtype=request.param))


def test_fewer_bytes_and_the_same_values_everywhere(shorter, sites, embed, local, tmp_path):
    dtype = shorter.wire.dtype
    folder = launch(shorter, via="local", root=tmp_path, with_yardsticks=False, sink=Bars())
    bank = load(folder / "bank.safetensors", Bank)
    same_bank(bank, run_round(shorter, sites, embed).model)
    np.testing.assert_array_equal(bank.rows, rounded(bank.rows, dtype))
    rows, width = 192, bank.rows.shape[1]
    saved = {"float16": 2 * width, "int8": 3 * width - 4}[dtype]  # int8 sends a scale a row
    up = [uploaded(f, "bank") for f in (folder, local)]
    assert up[1] - up[0] == rows * saved
    columns = 4 * 3 * rows  # columns and tables do not shrink
    assert up[0] < up[1] * {"float16": 0.51, "int8": 0.27}[dtype] + columns


def uploaded(folder, record):
    sites = json.loads((folder / "record.json").read_text())["sites"].values()
    return sum(site["bytes"]["up"][record] for site in sites)


def test_a_run_folder_has_what_a_person_opens(local):
    record = json.loads((local / "record.json").read_text())
    assert set(record["figures"]) == {"isolated", "federated", "centralised"}
    assert set(record["sites"]) == {"graz", "lyon", "turin"}
    assert record["model"]["rows"] == 192
    assert record["bytes"]["up"] > 0
    assert {"enrol", "train", "merge", "evaluate"} == set(record["seconds"])
    lines = (local / "per_site.csv").read_text().splitlines()
    assert lines[0] == "way,site,category,figure,value,bound,low,high,no_interval"
    assert any(line.startswith("federated,lyon,bolt,image_auroc,") for line in lines)
    assert "torch" in json.loads((local / "environment.json").read_text())["versions"]
    assert sorted(local.glob("pictures/hit-*.png"))
    assert sorted(local.glob("pictures/miss-*.png"))
    assert (local.parent / "latest").resolve() == local.resolve()


def test_what_stays_at_a_site_is_not_in_what_travels(local):
    own = load(next(local.glob("sites/lyon/*/own.safetensors")), Bank)
    assert len(own.source) == len(own)
    assert len(load(local / "bank.safetensors", Bank).source) == 0
