"""The two ends that every federated figure is read against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from fedad.calibration import calibrate
from fedad.config import Config
from fedad.embedders.embedder import Embed
from fedad.findings import Findings
from fedad.judging import Verdict
from fedad.round import examine, fit, merge, seal
from fedad.types import Site

ALL = "all-sites"  # the name of the one site that has everything

Watch = Callable[[Site, Iterable[Verdict]], Iterable[Verdict]]  # sees what a site judged


def unwatched(site: Site, verdicts: Iterable[Verdict]) -> Iterable[Verdict]:
    """Passes every verdict on."""
    return verdicts


def isolated(
    config: Config, sites: Sequence[Site], embed: Embed, *, watch: Watch = unwatched
) -> dict[str, Findings]:
    """Nobody shares: each site judges its test images by its own upload alone, all of it.

    A site without good images has nothing to judge by, and is left out; so are test images of a
    category that the site has no good image of.
    """
    alone = replace(config, bank=replace(config.bank, size=0))
    findings = {}
    for site in sites:
        if site.train:
            own = fit(alone, site, embed)
            bank = merge(alone, [seal(alone, site.name, own)])
            known = tuple(sample for sample in site.test if sample.category in bank.categories)
            able = replace(site, test=known)
            thresholds = calibrate(alone, site, embed, bank, own)
            findings[site.name] = examine(
                alone, able, embed, bank, thresholds, own=own, watch=partial(watch, site)
            )
    return findings


def centralised(
    config: Config, sites: Sequence[Site], embed: Embed, *, watch: Watch = unwatched
) -> dict[str, Findings]:
    """One site has all good images, and its bank judges each site's test images."""
    train = sorted((s for site in sites for s in site.train), key=lambda sample: sample.name)
    everything = Site(ALL, tuple(train), ())
    bank = merge(config, [seal(config, ALL, fit(config, everything, embed))])
    return {
        site.name: examine(config, site, embed, bank, {}, own=bank, watch=partial(watch, site))
        for site in sites
    }
