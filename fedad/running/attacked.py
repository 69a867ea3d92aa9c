"""A federation in simulation in which some sites lie, and what they send in an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedad.attacks.base import Attack, Defects, defects_of
from fedad.banks.bank import Bank
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embed, Embedder
from fedad.embedders.handshake import Probe, probe
from fedad.errors import ConfigError, UploadError
from fedad.methods.base import method_of
from fedad.partition import partition
from fedad.plugins import did_you_mean, plugin
from fedad.round import Local, fit
from fedad.seeding import stream
from fedad.types import Site


@dataclass(frozen=True, eq=False)
class Attacked:
    """A federation in which some sites are malicious."""

    config: Config
    sites: Sequence[Site]
    defects: Mapping[str, Defects]  # of each malicious site
    embed: Embedder
    probe: Probe
    fitted: dict[str, Local] = field(default_factory=dict)  # what fitting once gave, by site

    @property
    def honest(self) -> list[Site]:
        return [site for site in self.sites if site.name not in self.defects]

    def fit(self, config: Config, site: Site, *rest: Any) -> Local:
        """What a site makes of its images, whatever the defence: it is fitted once."""
        if site.name not in self.fitted:
            self.fitted[site.name] = fit(self.config, site, *rest)
        return self.fitted[site.name]

    def upload(self, name: str) -> Bank:
        """What the site `name` uploads if it is honest."""
        (site,) = (one for one in self.sites if one.name == name)
        upload: Bank = self.fit(self.config, site, self.embed).upload
        return upload

    def lies(self, attack: str) -> dict[str, Bank]:
        """What each malicious site sends in an attack, by site, where it has the form of a bank."""
        lie_of: Attack = plugin("attacks", attack)
        sent = {}
        for site, defects in self.defects.items():
            rng = stream(self.config.round.seed, site, "attack", attack)
            lie = lie_of(self.upload(site).in_selection_order(), rng=rng, defects=defects)
            try:
                sent[site] = Bank.unpack(*lie.pack())
            except UploadError:
                continue
        return sent


def as_rows_are(method: Any, embed: Embed) -> Embed:
    """An embedder whose features are what a method's rows are made of."""
    preset = getattr(method, "preset", None)
    return embed if preset is None else lambda samples: preset.written(embed(samples))


def attacked_federation(config: Config, malicious: Sequence[str] = ()) -> Attacked:
    """The sites of a run, of which `malicious` will lie: the last one where none is named.

    Raises:
        ConfigError: a method whose uploads are no banks; no such site, or one without good images;
            nobody is left who is honest.
    """
    if any(kinds.upload is not Bank for kinds in method_of(config).rounds):
        raise ConfigError(
            f"round.method = {config.round.method!r}: the attacks are on banks: expected a method "
            "that sends one, such as patchcore"
        )
    dataset = open_dataset(config.data)
    check_trainable(dataset)
    sites = partition(dataset, config.data, seed=config.round.seed)
    able = [site.name for site in sites if site.train]
    names = malicious or able[-1:]
    for name in names:
        if name not in able:
            raise ConfigError(
                f"--site {name}{did_you_mean(name, able)}: expected one of {', '.join(able)}"
            )
    if not any(site.train for site in sites if site.name not in names):
        raise ConfigError(f"--site {', '.join(names)}: expected at least one site to stay honest")
    embed = Embedder(config.embedder)
    described = as_rows_are(method_of(config), embed)
    defects = {site.name: defects_of(site.test, described) for site in sites if site.name in names}
    return Attacked(config, sites, defects, embed, probe(embed))
