"""Leaving a site out by taking its rows out of the bank: exact, and beside merging anew."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fedad.banks.bank import Bank
from fedad.banks.measured import measured
from fedad.banks.origin import without_site
from fedad.compare import rescored
from fedad.compare.cells import cells_of
from fedad.compare.plan import FEDERATED
from fedad.compare.value import _local_of, learned_anew, leave_one_out, worth
from fedad.config import Config, read
from fedad.descriptors.apply import described_features
from fedad.descriptors.settings import table_of
from fedad.embedders.embedder import Embedder
from fedad.judging.verdicts import judge
from fedad.messages.file import load
from fedad.reporting.run_folder import BANK, read_comparison, read_record
from fedad.round import fit, merge, run_round
from fedad.running.launch import sites_of

SITE = "lyon"


@pytest.fixture(scope="module")
def plant(knobs):
    """Room for every row, and no second choice: without a site, the bank is the others' rows."""
    config = read({**knobs, "merge.aggregation": "concatenate"})
    sites, embed = sites_of(config), Embedder(config.embedder)
    uploads = {s.name: fit(config, s, embed).upload for s in sites}
    return config, sites, embed, uploads


def maps_of(config: Config, sites, embed, bank):
    return {
        verdict.sample.name: (verdict.scored.map, verdict.scored.image_score)
        for site in sites
        for verdict in judge(config, site.test, embed, bank)
    }


def test_maps_are_those_of_a_bank_that_never_had_the_column(plant):
    config, sites, embed, uploads = plant
    filtered = without_site(merge(config, list(uploads.values())), SITE)
    never = merge(config, [bank for name, bank in uploads.items() if name != SITE])
    ours, theirs = (maps_of(config, sites, embed, bank) for bank in (filtered, never))
    assert len(ours) == 24
    for name, (map_, score) in theirs.items():
        assert np.array_equal(ours[name][0], map_)
        assert ours[name][1] == score


def test_a_patch_is_as_far_as_from_the_nearest_row_of_the_others(plant):
    """The definition, row by row: distances to a site's rows are left out of the minimum."""
    config, sites, embed, uploads = plant
    bank = merge(config, list(uploads.values()))
    sample = sites[0].test[0]
    mine = (bank.site != bank.sites.index(SITE)) & (
        bank.category == bank.categories.index(sample.category)
    )
    less = measured(without_site(bank, SITE))  # x and y count what the others' sums say
    patches = described_features(embed([sample]), table_of(less.fingerprint)).patches
    rows = less.rows[mine[bank.site != bank.sites.index(SITE)]]
    gaps = np.linalg.norm(patches[:, None].astype(float) - rows[None], axis=-1)
    (verdict,) = judge(config, [sample], embed, without_site(bank, SITE), site=sites[0].name)
    assert verdict.trace.distance.ravel() == pytest.approx(gaps.min(1), rel=1e-3, abs=1e-2)


def test_figures_of_the_whole_bank_are_those_of_the_run(compared, small):
    cell = cells_of(small)["float32", 0, FEDERATED]
    found = leave_one_out(cell.folder(compared), cell.config, small.figures)
    told = read_record(cell.folder(compared))["figures"]["federated"]
    for category, one in told["together"]["categories"].items():
        for figure in small.figures:
            whole = found[SITE]["all"]["together"][category][figure]
            assert whole == pytest.approx(one["figures"][figure]["value"], abs=1e-9)


def test_uploads_are_those_that_were_sent(compared, small):
    """From the sites' own copies in the run folder, so that nothing is fitted again."""
    cell = cells_of(small)["float32", 0, FEDERATED]
    bank = load(cell.folder(compared) / BANK, Bank)
    for site in sites_of(cell.config):
        sent = _local_of(cell.folder(compared), cell.config, site, _no_embedding).upload
        mine = bank.site == bank.sites.index(site.name)
        assert {row.tobytes() for row in bank.rows[mine]} <= {row.tobytes() for row in sent.rows}


def _no_embedding(samples):
    raise AssertionError("an image was embedded again")


def test_the_loss_and_the_gap_to_merging_anew_are_told(compared, small):
    value = read_comparison(compared)["value"]["float32"]
    assert set(value) == {"graz", "lyon", "turin"}
    for judges in value.values():
        assert set(judges) == {"together", "graz", "lyon", "turin"}
        for told in judges.values():
            assert set(told["gap"]) == set(told["loss"]) == set(small.figures)
            assert told["lost"] == []
            assert told["short"] == 0


def test_a_bank_that_the_others_cannot_fill_is_smaller_and_it_is_said(plant):
    config, sites, embed, uploads = plant
    rows = sum(map(len, uploads.values()))
    wished = replace(config, bank=replace(config.bank, size=rows))
    rest = {s.name: fit(config, s, embed) for s in sites if s.name != SITE}
    bank, short = learned_anew(wished, [s for s in sites if s.name != SITE], embed, rest)
    assert len(bank) == sum(len(one.upload) for one in rest.values())
    assert short == len(uploads[SITE])
    one = {"together": {"bolt": {"f": 0.5}}}
    told = worth([{"all": one, "without": one, "anew": one, "short": short}], ["f"])
    assert told["together"]["short"] == short


def test_merging_anew_weighs_sites_as_the_run_did(plant):
    """`coverage` asks the sites that are left."""
    config, sites, embed, _ = plant
    merging = replace(config.merge, weighting="coverage")
    asking = replace(config, merge=merging, bank=replace(config.bank, size=40))
    local = {s.name: fit(asking, s, embed) for s in sites if s.name != SITE}
    some = [site for site in sites if site.name in local]
    bank, _ = learned_anew(asking, some, embed, local)
    expected = run_round(asking, some, embed).model
    assert np.array_equal(bank.rows, expected.rows)
    plain = merge(asking, [one.upload for one in local.values()])
    assert not np.array_equal(bank.rows, plain.rows)


def test_with_room_for_every_row_nothing_is_won_by_merging_anew(plant):
    config, sites, embed, uploads = plant
    figures = ("image_auroc", "auc_spro_0.05")

    def measured(bank):
        asked = {"own": uploads, "figures": figures, "replicates": 0}
        return rescored.measured(config, sites, embed, bank, **asked).figures

    whole = merge(config, list(uploads.values()))
    rest = merge(config, [bank for name, bank in uploads.items() if name != SITE])
    told = {
        "all": measured(whole),
        "without": measured(without_site(whole, SITE)),
        "anew": measured(rest),
    }
    gap = worth([told], figures)["together"]["gap"]
    assert {figure: one["value"] for figure, one in gap.items()} == dict.fromkeys(figures, 0.0)


def test_worth_by_hand():
    def told(value, *categories):
        return {"together": {name: {"f": value} for name in categories}}

    seeds = [
        {"all": told(0.9, "a", "b"), "without": told(0.7, "a"), "anew": told(0.8, "a")},
        {"all": told(0.8, "a", "b"), "without": told(0.7, "a"), "anew": told(0.7, "a")},
    ]
    found = worth(seeds, ["f"])["together"]
    assert found["lost"] == ["b"]
    assert found["loss"]["f"]["value"] == pytest.approx(0.15)
    assert found["gap"]["f"]["value"] == pytest.approx(0.05)
    assert math.isnan(found["gap"]["f"]["low"])  # nothing was redrawn
    none = worth([{"all": told(0.9, "b"), "without": {}, "anew": {}}], ["f"])["together"]
    assert (none["lost"], none["short"]) == (["b"], 0)
    assert none["loss"]["f"]["value"] is none["gap"]["f"]["value"] is None


def test_worth_has_an_interval_over_redrawn_images():
    one = {"together": {"a": {"f": 0.5}}}
    drawn = np.random.default_rng(0).normal(0.1, 0.02, 401)
    drawn[0] = 0.1
    seed = {
        **{"all": one, "without": {"together": {"a": {"f": 0.4}}}, "anew": one},
        "images": {"together": {"a": 20}},
        "drawn": {"loss": {"together": {"a": {"f": drawn.tolist()}}}, "gap": {}},
    }
    loss = worth([seed], ["f"])["together"]["loss"]["f"]
    assert loss["value"] == pytest.approx(0.1)
    assert loss["low"] == pytest.approx(0.1 - 2.15 * 0.02, abs=0.01)
    assert loss["high"] == pytest.approx(0.1 + 2.15 * 0.02, abs=0.01)
    few = {**seed, "images": {"together": {"a": 4}}}
    assert math.isnan(worth([few], ["f"])["together"]["loss"]["f"]["low"])


def test_redrawn_losses_begin_with_the_loss(compared, small):
    """The replicates of what is left out are of the same images as its figures."""
    cell = cells_of(small)["float32", 0, FEDERATED]
    told = leave_one_out(cell.folder(compared), cell.config, small.figures)[SITE]
    for judge_, categories in told["drawn"]["loss"].items():
        for category, of in categories.items():
            for figure, drawn in of.items():
                pair = (told[way][judge_][category][figure] for way in ("all", "without"))
                more, less = pair
                if not math.isnan(drawn[0]):
                    assert drawn[0] == pytest.approx(more - less, abs=0.002)


@pytest.mark.parametrize("scope", ["category", "mixed"])
def test_without_the_only_site_there_is_nothing_to_judge_by(plant, scope):
    config, sites, embed, uploads = plant
    config = replace(config, bank=replace(config.bank, scope=scope))
    nothing = without_site(uploads[SITE].replace(scope=scope), SITE)
    asked = {"own": {}, "figures": ("image_auroc",), "replicates": 0}
    found = rescored.measured(config, sites, embed, nothing, **asked).figures
    assert len(nothing) == 0
    assert found == {name: {} for name in ("together", *uploads)}
