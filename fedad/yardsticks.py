"""The two ends that every federated figure is read against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fedad.config import Config
from fedad.embedders.embedder import Embed
from fedad.metrics import Counts
from fedad.round import count, fit, merge, seal
from fedad.types import Site

ALL = "all-sites"  # the name of the one site that has everything


def isolated(config: Config, sites: Sequence[Site], embed: Embed) -> dict[str, Counts]:
    """Nobody shares: each site judges its test images by its own upload alone, all of it.

    A site without good images has nothing to judge by, and is left out; so are test images of a
    category that the site has no good image of.
    """
    alone = replace(config, bank=replace(config.bank, size=0))
    counts = {}
    for site in sites:
        if site.train:
            bank = merge(alone, [seal(alone, site, fit(alone, site, embed))])
            known = tuple(sample for sample in site.test if sample.category in bank.categories)
            counts[site.name] = count(alone, replace(site, test=known), embed, bank)
    return counts


def centralised(config: Config, sites: Sequence[Site], embed: Embed) -> dict[str, Counts]:
    """One site has all good images, and its bank judges each site's test images."""
    train = sorted((s for site in sites for s in site.train), key=lambda sample: sample.name)
    everything = Site(ALL, tuple(train), ())
    bank = merge(config, [seal(config, everything, fit(config, everything, embed))])
    return {site.name: count(config, site, embed, bank) for site in sites}
