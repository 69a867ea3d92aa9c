"""Thresholds come from good images alone, and what a site says adds up and travels unchanged."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fedad import wire
from fedad.config import read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import UploadError
from fedad.evaluation import Decisions, summarise
from fedad.judging.admission import admit_distances, admit_findings
from fedad.judging.distances import distances
from fedad.judging.findings import Findings
from fedad.judging.thresholds import calibrate
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.round import examine, fit, merge, run_round
from fedad.types import Enrolled
from tests.evaluation.drawn import same


@pytest.fixture(scope="module")
def embed(config):
    return Embedder(config.embedder)


@pytest.fixture(scope="module")
def sites(config):
    return partition(open_dataset(config.data), config.data, seed=0)


@pytest.fixture(scope="module")
def outcome(config, sites, embed):
    return run_round(config, sites, embed)


def test_a_training_image_is_scored_without_its_own_rows(knobs, sites, embed):
    """The obvious way: fit the bank, take out every row of that image by hand, score it."""
    site = sites[1]
    eager = read({**knobs, "patchcore.preset": "classic", "score.false-rejects": 0.49})
    own = fit(eager, site, embed).own
    bank = merge(eager, [fit(eager, s, embed).upload for s in sites])
    found = calibrate(eager, site, embed, bank, own)
    features = embed(site.train)
    scores = {"bolt": [], "hose": []}
    for k, sample in enumerate(site.train):
        patches = features.grid[k].reshape(-1, features.grid.shape[-1])
        others = ~(bank.rows[:, None] == patches[None]).all(-1).any(1)
        alone = replace(
            features,
            grid=features.grid[k : k + 1],
            categories=(sample.category,),
            images=(sample.name,),
        )
        _, score = method_of(eager).score(bank.take(np.flatnonzero(others)), alone)
        scores[sample.category].append(float(score[0]))
    for category, expected in scores.items():
        assert found[category].parts == 2
        assert found[category].score == pytest.approx(max(expected))


def test_held_out_images_are_scored_as_they_are(config, embed):
    held = replace(config, data=replace(config.data, holdout=0.5))
    sites = partition(open_dataset(held.data), held.data, seed=0)
    site = sites[0]
    assert (len(site.train), len(site.held)) == (2, 2)
    bank = merge(held, [fit(held, s, embed).upload for s in sites])
    eager = replace(held, score=replace(held.score, false_rejects=0.9))
    found = calibrate(eager, site, embed, bank, fit(eager, site, embed).own)
    _, scores = method_of(eager).score(bank, embed(site.held))
    assert sorted(one.score for one in found.values()) == pytest.approx(sorted(scores.tolist()))


def test_too_few_images_for_the_rate_give_no_threshold_and_no_decision(outcome):
    for found in outcome.findings.values():
        assert set(found.calibrated.values()) == {0}
        assert found.decisions == {}


def test_decisions_count_what_the_threshold_stops(config, sites, embed, outcome):
    from fedad.judging.thresholds import Threshold

    for score, rejected, escaped in ((-1.0, 2, 0), (1e9, 0, 2)):
        thresholds = {name: Threshold(score, 9) for name in ("bolt", "hose")}
        found = examine(config, sites[0], embed, outcome.model, thresholds)
        assert found.decisions["bolt"] == Decisions(2, rejected, 2, escaped)
        assert found.calibrated == {"bolt": 9, "hose": 9}


def test_findings_add_up_in_any_order_and_nothing_adds_nothing(outcome):
    one, two, three = outcome.findings.values()
    for a, b in (((one + two) + three, three + (two + one)), (one, one + Findings())):
        told = [json.dumps(summarise(x.counts, x.replicates)) for x in (a, b)]
        assert told[0] == told[1]


def test_findings_travel_unchanged(outcome):
    for found in outcome.findings.values():
        again = wire.unpack_findings(wire.pack_findings(found))
        assert again.decisions == found.decisions
        assert again.calibrated == found.calibrated
        for mine, theirs in ((found.counts, again.counts), (found.replicates, again.replicates)):
            assert same(mine, theirs)


def test_a_threshold_may_rest_on_validation_images_of_a_product_that_a_site_has_no_others_of(
    config, sites, embed
):
    """As where a product is dealt out to other sites, and its validation images to all."""
    lyon, bank = sites[1], merge(config, [fit(config, s, embed).upload for s in sites])
    bolts = [tuple(s for s in some if s.category == "bolt") for some in (lyon.train, lyon.test)]
    held = tuple(replace(s, split="validation") for s in lyon.train if s.category == "hose")
    few = replace(lyon, train=bolts[0], test=bolts[1], held=held)
    limits = calibrate(config, few, embed, bank, fit(config, few, embed).own)
    found, ends = examine(config, few, embed, bank, limits), embed(lyon.train)
    assert "hose" in found.calibrated
    counts = {"bolt": len(bolts[0])}, {"bolt": len(bolts[1])}
    mark, width = ends.fingerprint, ends.grid.shape[-1]
    enrolled = Enrolled("lyon", *counts, mark, width, 1.0, {"hose": len(held)})
    admit_findings(config, found, enrolled, [site.name for site in sites])
    with pytest.raises(UploadError, match="'hose', which it has not"):
        admit_findings(config, found, enrolled._replace(validation={}), ["lyon"])
    told = distances(config, few, embed, bank, fit(config, few, embed).own)
    assert {*told} == {"bolt", "hose"}
    admit_distances(told, enrolled)
    with pytest.raises(UploadError, match="'hose', which it has not"):
        admit_distances(told, enrolled._replace(validation={}))


@pytest.mark.parametrize("text", ["", "[]", '{"decisions": {"bolt": [1, 2, 0, 0]}}', "{}"])
def test_decisions_that_no_images_could_give_are_refused(outcome, text):
    content = wire.pack_findings(outcome.findings["lyon"])
    content["decisions"]["json"] = text
    with pytest.raises(UploadError, match="decisions that do not fit"):
        wire.unpack_findings(content)


def test_another_seed_resamples_other_images_and_another_number_of_them(config, sites, embed):
    few = replace(config, score=replace(config.score, replicates=5))
    bank = merge(few, [fit(few, s, embed).upload for s in sites])
    one = examine(few, sites[0], embed, bank, {}).replicates
    again = examine(few, sites[0], embed, bank, {}).replicates
    other = examine(
        replace(few, round=read({"round.seed": 3}).round), sites[0], embed, bank, {}
    ).replicates
    assert one.batch == (6,)
    assert same(one, again)
    assert not same(one, other)
