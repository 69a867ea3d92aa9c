"""The map: a whole federated run on one screen, without a network.

The Flower apps compute the very same arrays, byte for byte (`tests/test_round.py` says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from fedad.calibration import Threshold, calibrate
from fedad.config import Config
from fedad.embedders.embedder import Embed
from fedad.findings import Findings, find
from fedad.judging import Verdict, judge
from fedad.methods.base import method_of
from fedad.seeding import stream
from fedad.types import Bank, Site


class Outcome(NamedTuple):
    """What a run leaves: the broadcast bank, and what each site found with it."""

    bank: Bank
    findings: dict[str, Findings]


def run_round(config: Config, sites: Iterable[Site], embed: Embed) -> Outcome:
    """Images -> patch features -> local banks -> uploads -> one bank -> maps -> counts by site."""
    in_order = sorted(sites, key=lambda site: site.name)
    own = {site.name: fit(config, site, embed) for site in in_order if site.train}
    bank = merge(config, [seal(config, name, kept) for name, kept in own.items()])
    findings = {}
    for site in in_order:
        mine = own.get(site.name)
        thresholds = calibrate(config, site, embed, bank, mine)
        findings[site.name] = examine(config, site, embed, bank, thresholds, own=mine)
    return Outcome(bank, findings)


def fit(config: Config, site: Site, embed: Embed) -> Bank:
    """What a site keeps of its good images. It never travels."""
    rng = stream(config.round.seed, site.name, "fit")
    return method_of(config).fit(embed(site.train), None, rng=rng)


def seal(config: Config, site: str, own: Bank) -> Bank:
    """What travels of it."""
    return own.sealed(site, config.wire.dtype)


def merge(config: Config, uploads: Sequence[Bank]) -> Bank:
    """The bank that is broadcast, from the uploads in any order."""
    in_order = sorted(uploads, key=lambda bank: bank.sites)
    return method_of(config).merge(in_order, None, rng=stream(config.round.seed, "merge"))


def examine(
    config: Config,
    site: Site,
    embed: Embed,
    bank: Bank,
    thresholds: Mapping[str, Threshold],
    *,
    own: Bank | None = None,
    watch: Callable[[Iterable[Verdict]], Iterable[Verdict]] = iter,
) -> Findings:
    """What a site says of its test images; what `watch` sees of each stays there."""
    verdicts = watch(judge(config, site.test, embed, bank, own=own))
    return find(config, site.name, verdicts, thresholds)
