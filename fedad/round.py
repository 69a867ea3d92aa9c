"""The map: a whole federated run on one screen, without a network.

The Flower apps compute the very same arrays, byte for byte (`tests/test_round.py` says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fedad.calibration import Threshold, calibrate
from fedad.config import COVERAGE, Config
from fedad.covering import Distances, cover, distances
from fedad.findings import Findings, find
from fedad.judging import Verdict, judge
from fedad.methods.base import method_of
from fedad.seeding import stream
from fedad.sifting import sift
from fedad.types import Bank, Site

if TYPE_CHECKING:  # who only merges needs no network in memory
    from fedad.embedders.embedder import Embed


class Outcome(NamedTuple):
    """What a run leaves: the broadcast bank, and what each site found with it."""

    bank: Bank
    findings: dict[str, Findings]


def run_round(config: Config, sites: Iterable[Site], embed: Embed) -> Outcome:
    """Images -> patch features -> local banks -> uploads -> one bank -> maps -> counts by site."""
    in_order = sorted((sift(config, site).site for site in sites), key=lambda site: site.name)
    own = {site.name: fit(config, site, embed) for site in in_order if site.train}
    uploads = [seal(config, name, kept) for name, kept in own.items()]

    def ask(bank: Bank) -> Distances:
        learned = (site for site in in_order if site.name in own)
        return {s.name: distances(config, s, embed, bank, own[s.name]) for s in learned}

    bank, _ = agree(config, uploads, ask)
    findings = {}
    for site in in_order:
        mine = own.get(site.name)
        thresholds = calibrate(config, site, embed, bank, mine)
        findings[site.name] = examine(config, site, embed, bank, thresholds, own=mine)
    return Outcome(bank, findings)


def fit(config: Config, site: Site, embed: Embed) -> Bank:
    """What a site keeps of its good images, rounded as it will be sent. It never travels."""
    from fedad.embedders.in_parts import within_memory

    rng = stream(config.round.seed, site.name, "fit")
    kept = method_of(config).fit(within_memory(config, embed, site.train), None, rng=rng)
    return seal(config, site.name, kept).replace(source=kept.source, radius=kept.radius)


def seal(config: Config, site: str, own: Bank) -> Bank:
    """What travels of it."""
    return own.sealed(site, config.wire.dtype)


def agree(
    config: Config, uploads: Sequence[Bank], ask: Callable[[Bank], Distances]
) -> tuple[Bank, list[float]]:
    """The bank that is broadcast, and how far the worst site was after each merge, if asked.

    `merge.weighting = coverage` takes asking the sites, and merging anew (`cover`).
    """
    if config.merge.weighting != COVERAGE:
        return merge(config, uploads), []
    return cover(config, lambda weighted: merge(weighted, uploads), ask)


def merge(config: Config, uploads: Sequence[Bank]) -> Bank:
    """One bank from the uploads, in any order."""
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
    verdicts = watch(judge(config, site.test, embed, bank, own=own, site=site.name))
    return find(config, site.name, verdicts, thresholds)
