"""Each product of each site has a row in the bank, and a threshold or a word why it has none."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fedad.aggregation.base import shares, shares_of_at_least
from fedad.banks.bank import join
from fedad.config import ScoreKnobs, read
from fedad.datasets.base import open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError
from fedad.judging.thresholds import calibrate
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.round import fit, merge
from fedad.scoring.nearest import nearest
from fedad.search.image_scores import image_scores
from tests.conftest import bank_of
from tests.test_work import drawn

PAIRS = {("graz", "bolt"), ("graz", "hose"), ("lyon", "bolt")}


def uploads(scope):
    """Much of one product and little of another, which a share by images leaves no row."""
    made = []
    for site, counts in (("graz", {"bolt": 900, "hose": 1}), ("lyon", {"bolt": 500})):
        parts = [
            bank_of(drawn(40, seed=k) + 50 * k * (name == "hose"), site, name, images=images)
            for k, (name, images) in enumerate(counts.items())
        ]
        bank = join([part.replace(scope=scope) for part in parts])
        made.append(bank.replace(row=np.arange(len(bank), dtype=np.int32)))
    return made


@pytest.mark.parametrize("scope", ["category", "mixed"])
@pytest.mark.parametrize("joining", ["concatenate", "federated_coreset", "quota"])
@pytest.mark.parametrize("size", [3, 4, 10])
def test_each_product_of_each_site_has_a_row(size, joining, scope):
    config = read({"bank.size": size, "bank.scope": scope, "merge.aggregation": joining})
    bank = merge(config, uploads(scope))
    assert len(bank) == size
    there = {
        (bank.sites[s], bank.categories[c])
        for s, c in zip(bank.site.tolist(), bank.category.tolist(), strict=True)
    }
    assert there == PAIRS
    assert all(value[1] > 0 for value in method_of(config).scale(bank).values())


@pytest.mark.parametrize("scope", ["category", "mixed"])
def test_a_bank_too_small_for_that_is_refused(scope):
    config = read({"bank.size": 2, "bank.scope": scope})
    with pytest.raises(ConfigError, match=r"bank\.size = 2: 3 pairs of a site and a product"):
        merge(config, uploads(scope))
    with pytest.raises(ConfigError, match=r"bank\.size = 2: 3 pairs of a site and a product"):
        method_of(config).foresee([{"bolt": 9, "hose": 1}, {"bolt": 5}], 64)


def test_who_has_enough_shares_as_before():
    rng = np.random.default_rng(0)
    for _ in range(200):
        weights, most = rng.integers(1, 90, 4).tolist(), rng.integers(3, 60, 4).tolist()
        size = int(rng.integers(8, sum(most) + 1))
        plain = shares(weights, size, most)
        least = [min(2, one) for one in most]
        found = shares_of_at_least(least, weights, size, most)
        assert sum(found) == size
        assert all(few <= one <= there for few, one, there in zip(least, found, most, strict=True))
        if all(one >= few for one, few in zip(plain, least, strict=True)):
            assert found == plain


def test_a_threshold_is_settled_a_product(config):
    """One product has held-out images, the other's were lost: it has its training images."""
    some = replace(
        config,
        data=replace(config.data, holdout=0.5),
        score=replace(config.score, false_rejects=0.9),
    )
    site = partition(open_dataset(some.data), some.data, seed=0)[0]
    embed = Embedder(some.embedder)
    own, upload, _ = fit(some, site, embed)
    whole = calibrate(some, site, embed, merge(some, [upload]), own)
    less = replace(site, held=tuple(s for s in site.held if s.category == "bolt"))
    more = replace(less, train=(*site.train, *(s for s in site.held if s.category == "hose")))
    own, upload, _ = fit(some, more, embed)
    found = calibrate(some, more, embed, merge(some, [upload]), own)
    assert {name: one.parts for name, one in found.items()} == {"bolt": 1, "hose": 2}
    assert not math.isnan(found["hose"].score)
    assert set(whole) == {"bolt", "hose"}


def test_a_product_that_nothing_is_held_out_of_is_named_where_a_method_cannot_forget(config):
    some = read(
        {
            **config.flat(),
            "round.method": "gaussian",
            "gaussian.least-images": 1,
            "data.holdout": 0.5,
            "score.false-rejects": 0.9,
        }
    )
    site = partition(open_dataset(some.data), some.data, seed=0)[0]
    embed = Embedder(some.embedder)
    own, upload, _ = fit(some, site, embed)
    less = replace(site, held=tuple(s for s in site.held if s.category == "bolt"))
    found = calibrate(some, less, embed, merge(some, [upload]), own)
    assert {name: one.parts for name, one in found.items()} == {"bolt": 1, "hose": 0}
    assert math.isnan(found["hose"].score)


def test_one_row_is_a_score_however_many_neighbours_are_asked_for():
    bank, patches = bank_of(drawn(1)), drawn(8, seed=1)
    found = nearest(bank, patches, knobs=ScoreKnobs())
    one, many = (image_scores(found, patches, bank.rows, per_image=8, neighbours=k) for k in (1, 3))
    assert many == one > 0
