"""The map: a whole federated run on one screen, without a network.

The Flower apps compute the very same arrays, byte for byte (`tests/test_round.py` says so).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fedad.config import Config
from fedad.embedders.embedder import Embed
from fedad.judging import judge
from fedad.methods.base import method_of
from fedad.metrics import Counts
from fedad.seeding import stream
from fedad.types import Bank, Site


class Outcome(NamedTuple):
    """What a run leaves: the broadcast bank, and the counts of each site's test images."""

    bank: Bank
    counts: dict[str, Counts]


def run_round(config: Config, sites: Iterable[Site], embed: Embed) -> Outcome:
    """Images -> patch features -> local banks -> uploads -> one bank -> maps -> counts by site."""
    in_order = sorted(sites, key=lambda site: site.name)
    uploads = [seal(config, site, fit(config, site, embed)) for site in in_order if site.train]
    bank = merge(config, uploads)
    return Outcome(bank, {site.name: count(config, site, embed, bank) for site in in_order})


def fit(config: Config, site: Site, embed: Embed) -> Bank:
    """What a site keeps of its good images. It never travels."""
    rng = stream(config.round.seed, site.name, "fit")
    return method_of(config).fit(embed(site.train), None, rng=rng)


def seal(config: Config, site: Site, own: Bank) -> Bank:
    """What travels of it."""
    return own.sealed(site.name, config.wire.dtype)


def merge(config: Config, uploads: Sequence[Bank]) -> Bank:
    """The bank that is broadcast, from the uploads in any order."""
    in_order = sorted(uploads, key=lambda bank: bank.sites)
    return method_of(config).merge(in_order, None, rng=stream(config.round.seed, "merge"))


def count(config: Config, site: Site, embed: Embed, bank: Bank) -> Counts:
    """What a site says of its test images."""
    verdicts = judge(config, site.test, embed, bank)
    return sum((Counts.of(verdict.scored) for verdict in verdicts), Counts())
