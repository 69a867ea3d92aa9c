"""The two ends that every federated figure is read against, and what stays at private sites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from fedad.banks.bank import Bank
from fedad.config import Config, PrivacyKnobs
from fedad.embedders.embedder import Embed
from fedad.judging.findings import Findings
from fedad.judging.thresholds import calibrate
from fedad.judging.verdicts import Verdict
from fedad.methods.base import Settling, method_of
from fedad.round import examine, learn
from fedad.types import Site

ALL = "all-sites"  # the name of the one site that has everything

Watch = Callable[[Site, Iterable[Verdict]], Iterable[Verdict]]  # sees what a site judged


def unwatched(site: Site, verdicts: Iterable[Verdict]) -> Iterable[Verdict]:
    """Passes every verdict on."""
    return verdicts


def isolated(
    config: Config, sites: Sequence[Site], embed: Embed, *, watch: Watch = unwatched
) -> dict[str, Findings]:
    """Nobody shares: each site learns alone, from all of its upload, and judges its test images.

    A site without good images has nothing to judge by, and is left out; so are test images of a
    category that the site has no good image of.
    """
    alone = exact(replace(config, bank=replace(config.bank, size=0)))
    method, findings = method_of(alone), {}
    for site in sites:
        if site.train:
            learned = learn(alone, [site], embed)
            model, own = learned.model, learned.own(site.name)
            able = replace(
                site, test=tuple(s for s in site.test if method.judges(model, s.category))
            )
            thresholds = calibrate(alone, site, embed, model, own)
            findings[site.name] = examine(
                alone, able, embed, model, thresholds, own=own, watch=partial(watch, site)
            )
    return findings


def centralised(
    config: Config, sites: Sequence[Site], embed: Embed, *, watch: Watch = unwatched
) -> dict[str, Findings]:
    """One site has all good images, and its model judges each site's test images."""
    config = exact(config)
    train = sorted((s for site in sites for s in site.train), key=lambda sample: sample.name)
    model, local = learn(config, [Site(ALL, tuple(train), ())], embed)
    own = model if isinstance(model, Bank) else local[ALL].own  # of a bank what was merged, no more
    return {
        site.name: examine(config, site, embed, model, {}, own=own, watch=partial(watch, site))
        for site in sites
    }


def at_site(
    config: Config, sites: Sequence[Site], embed: Embed, *, watch: Watch = unwatched
) -> dict[str, Findings]:
    """What sites find for themselves under a private release: by the model of all, which is made
    anew with other noise, united with their own exact bank. None of it may leave."""
    learned, findings = learn(config, [site for site in sites if site.train], embed), {}
    for site in sites:
        own = learned.own(site.name)
        thresholds = calibrate(config, site, embed, learned.model, own)
        findings[site.name] = examine(
            config, site, embed, learned.model, thresholds, own=own, watch=partial(watch, site)
        )
    return findings


def exact(config: Config) -> Config:
    """The configuration without a release: nothing leaves a yardstick. Patches are described as in
    the run that it stands beside."""
    if config.privacy == PrivacyKnobs():
        return config
    method = method_of(config)
    told = method.settled if isinstance(method, Settling) else config
    return replace(told, privacy=PrivacyKnobs())
