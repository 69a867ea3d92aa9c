"""Weights that reach everybody: the site that is covered worst is never covered worse."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from fedad import wire
from fedad.aggregation.base import site_weights
from fedad.banks.bank import Bank
from fedad.banks.coverage import merge_covering
from fedad.config import factors, read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, UploadError
from fedad.judging.distances import distances
from fedad.judging.thresholds import calibrate
from fedad.messages.file import load
from fedad.partition import partition
from fedad.plumbing.progress import Bars
from fedad.reporting.report import report
from fedad.round import agree, fit, merge, run_round
from fedad.running.launch import launch
from tests.conftest import bank_of


@pytest.fixture(scope="module")
def plant(config):
    """Sites, their embedder, their own banks and uploads; room for a third of the rows."""
    small = replace(config, bank=replace(config.bank, size=64))
    sites = partition(open_dataset(small.data), small.data, seed=0)
    embed = Embedder(small.embedder)
    local = {site.name: fit(small, site, embed) for site in sites}
    own = {name: one.own for name, one in local.items()}
    return small, sites, embed, own, [one.upload for one in local.values()]


@pytest.mark.parametrize("scope", ["category", "mixed"])
def test_the_only_image_of_a_category_has_nothing_to_be_judged_by(config, scope):
    """An isolated site with one good image: no distance, no crash, and no threshold of a product,
    which is said of each."""
    alone = replace(config, bank=replace(config.bank, scope=scope))
    site = partition(open_dataset(alone.data), alone.data, seed=0)[0]
    one = replace(site, train=site.train[:1])
    embed = Embedder(alone.embedder)
    own, upload, _ = fit(alone, one, embed)
    bank = merge(alone, [upload])
    assert distances(alone, one, embed, bank, own) == {}
    found = calibrate(alone, one, embed, bank, own)
    assert {name: threshold.parts for name, threshold in found.items()} == {"bolt": 0, "hose": 0}
    assert all(math.isnan(threshold.score) for threshold in found.values())


def weighting(config, text):
    return replace(config, merge=replace(config.merge, weighting=text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n", [100, 25, 9]),
        ("sqrt", [10, 5, 3]),
        ("equal", [1, 1, 1]),
        ("coverage", [100, 25, 9]),
        ("lyon=2,turin=0.5", [100, 50, 4.5]),
    ],
)
def test_weights_of_sites(text, expected):
    uploads = [
        bank_of(np.ones((2, 3)), site, images=images)
        for site, images in (("graz", 100), ("lyon", 25), ("turin", 9))
    ]
    assert site_weights(uploads, read({"merge.weighting": text}).merge) == expected


@pytest.mark.parametrize("text", ["equals", "", "lyon=0", "lyon=much", "lyon=-1", "lyon=inf"])
def test_a_weighting_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match=r"merge\.weighting"):
        read({"merge.weighting": text})
    with pytest.raises(ConfigError, match="factors above 0"):
        factors(text)


@pytest.mark.parametrize(
    "name", ["federated_coreset", "concatenate", "diversity_preserving", "quota"]
)
def test_a_factor_gives_a_site_more_of_the_bank(plant, name):
    config, _, _, _, uploads = plant
    config = replace(config, merge=replace(config.merge, aggregation=name, floor=4))
    rows = []
    for text in ("graz=0.2", "n", "graz=3"):
        bank = merge(weighting(config, text), uploads)
        assert len(bank) == 64
        rows.append(int((bank.site == bank.sites.index("graz")).sum()))
    assert rows[0] < min(rows[1:])
    if name in ("concatenate", "quota"):  # elsewhere the greedy chooses, once all are offered
        assert rows == sorted(rows)


def test_coverage_never_leaves_the_worst_site_farther_than_image_counts_do(plant):
    config, sites, embed, own, uploads = plant
    by_name = {site.name: site for site in sites}

    def ask(bank):
        return {n: distances(config, by_name[n], embed, bank, own[n]) for n in own}

    bank, worst = merge_covering(config, lambda how: merge(how, uploads), ask)
    assert len(worst) == 5
    plain = merge(weighting(config, "n"), uploads)
    scale = {c: np.mean([of[c] for of in ask(plain).values()]) for c in ("bolt", "hose")}
    far = max(np.mean([d / scale[c] for c, d in of.items()]) for of in ask(bank).values())
    assert far == pytest.approx(min(worst))
    assert min(worst) <= worst[0]


def test_a_site_that_is_far_gets_rows_until_it_is_near():
    """Two sites whose distance is what the bank lacks of them: the far one has to win rows."""
    config = weighting(read({}), "coverage")
    asked = []

    def merged(how):
        given = {} if how.merge.weighting == "n" else factors(how.merge.weighting)
        share = given.get("small", 1.0) / (given.get("small", 1.0) + 9 * given.get("large", 1.0))
        return share  # stands for the bank: the share of its rows that is the small site's

    def ask(share):
        asked.append(share)
        return {"small": {"bolt": 2 - 2 * share}, "large": {"bolt": 0.2 + share}}

    share, worst = merge_covering(config, merged, ask)
    assert asked[0] == pytest.approx(0.1)
    assert asked == sorted(asked)
    assert share == asked[int(np.argmin(worst))] > 0.2
    assert min(worst) < worst[0]


FAIR = {"graz": {"bolt": 1.0}, "turin": {"bolt": 1.2}}


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"bolt": 1.0}, {"hose": 1.0}),  # a category that nobody told of at first
        ({}, {"hose": 1.0}),
        ({"hose": 5e-324}, {"hose": 1.7e308}),  # whose quotient is infinite
        ({"bolt": 1.7e308}, {"bolt": 0.0}),
    ],
)
def test_no_distance_that_a_site_tells_ends_the_run(first, later):
    config, answers = read({"merge.weighting": "coverage"}), iter([first, *[later] * 4])
    made = []

    def merged(how):
        site_weights([bank_of(np.ones((2, 3)), "graz", images=1)], how.merge)
        made.append(how.merge.weighting)
        return len(made)

    _, worst = merge_covering(config, merged, lambda bank: {**FAIR, "lyon": next(answers)})
    assert len(worst) == len(made) == 5
    assert np.isfinite(worst).all()


def test_one_far_site_of_a_thousand_and_all_at_no_distance():
    near = {f"site{k}": {"bolt": 0.0} for k in range(999)}
    for told in ({**near, "far": {"bolt": 1.0}}, near):
        _, worst = merge_covering(
            read({}), lambda how: site_weights([], how.merge), lambda bank, t=told: t
        )
        assert len(worst) == 5
        assert np.isfinite(worst).all()


def test_who_is_silent_has_no_say(plant):
    config, _, _, _, uploads = plant
    bank, worst = merge_covering(config, lambda how: merge(how, uploads), lambda bank: {})
    np.testing.assert_array_equal(bank.rows, merge(weighting(config, "n"), uploads).rows)
    assert worst == []


def test_the_apps_agree_on_the_bank_of_the_plain_round_and_count_what_it_costs(plant, tmp_path):
    config, sites, embed, _, _ = plant
    asking = weighting(config, "coverage")
    folder = launch(asking, via="local", root=tmp_path, with_yardsticks=False, sink=Bars())
    bank = load(folder / "bank.safetensors", Bank)
    np.testing.assert_array_equal(bank.rows, run_round(asking, sites, embed).model.rows)
    record = json.loads((folder / "record.json").read_text())
    worst = record["covered"]
    assert len(worst) == 5
    assert worst[0] > 0
    said = f"usual distance from the bank weighted by images, and {min(worst):.3f} from this one"
    assert said in report(folder).read_text()
    for site in record["sites"].values():
        assert site["seconds_coverage"] > 0
        assert 0 < site["bytes"]["up"]["distances"] < 5 * 100
        assert site["bytes"]["down"]["bank"] > 5 * bank.rows.nbytes


@pytest.mark.parametrize("text", ["", "[]", '{"bolt": -1}', '{"bolt": NaN}', '{"bolt": "far"}'])
def test_distances_that_are_none_are_refused(text):
    content = wire.pack_distances({"bolt": 1.5})
    assert wire.unpack_distances(content) == {"bolt": 1.5}
    content["distances"]["json"] = text
    with pytest.raises(UploadError, match="distances that"):
        wire.unpack_distances(content)


def test_a_round_asks_only_where_coverage_is_wished(plant):
    config, sites, embed, _, uploads = plant

    def never(bank):
        raise AssertionError("nobody asked for coverage")

    bank, worst = agree(config, uploads, never)
    np.testing.assert_array_equal(bank.rows, run_round(config, sites, embed).model.rows)
    assert worst == []
