"""`fedad attack`: a run in simulation in which some sites lie, with and without each defence."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from rich.table import Table

from fedad.attacks.base import Attack, Defects, defects_of
from fedad.banks.bank import Bank
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.embedders.handshake import Probe, longest, probe
from fedad.errors import ConfigError, UploadError
from fedad.evaluation import Counts, report
from fedad.judging.admission import admit_upload
from fedad.judging.verdicts import judge
from fedad.methods.base import FIRST, Turn, method_of
from fedad.partition import partition
from fedad.plugins import nearest, plugin
from fedad.plumbing.progress import track
from fedad.round import Local, fit, learn
from fedad.seeding import stream
from fedad.types import Enrolled, Site

NOBODY, ABSENT = "no attack", "site absent"


class Defence(NamedTuple):
    """What stands between a site and the others. Without admission a message needs only form."""

    admission: bool
    aggregation: str = "federated_coreset"
    scoring: str = "nearest"


DEFENCES = {
    "undefended": Defence(admission=False),
    "default": Defence(admission=True),
    "quota": Defence(True, "quota"),
    "quota + q_of_n": Defence(True, "quota", "q_of_n"),
}
FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC"}


class Cell(NamedTuple):
    """What one attack did to the honest sites under one defence."""

    attack: str
    defence: str
    figures: Mapping[str, float]
    refused: bool  # the upload did not get past the door, so that the site counts as absent


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

    def upload(self, site: str) -> Bank:
        """What a malicious site would upload if it were honest."""
        (found,) = (one for one in self.sites if one.name == site)
        upload: Bank = self.fit(self.config, found, self.embed).upload
        return upload


def attacked_federation(config: Config, malicious: Sequence[str] = ()) -> Attacked:
    """The sites of a run, of which `malicious` (the last one where none is named) will lie.

    Raises:
        ConfigError: no such site, or one without good images; nobody is left who is honest.
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
                f"--site {name}{nearest(name, able)}: expected one of {', '.join(able)}"
            )
    if not any(site.train for site in sites if site.name not in names):
        raise ConfigError(f"--site {', '.join(names)}: expected at least one site to stay honest")
    embed = Embedder(config.embedder)
    defects = {site.name: defects_of(site.test, embed) for site in sites if site.name in names}
    return Attacked(config, sites, defects, embed, probe(embed))


def cells(
    federation: Attacked,
    attacks: Sequence[str],
    defences: Sequence[str] = tuple(DEFENCES),
) -> Iterator[Cell]:
    """The figures of the honest sites: without an attack, without the malicious sites, and under
    each of `attacks`, for each of `defences`.

    Who is refused is absent.
    """
    sent = {name: _lies(federation, name) for name in attacks}
    with track("attacks", len(defences) * (2 + len(attacks))) as progress:
        done, known = 0, _Known(federation)
        for label in defences:
            defence = DEFENCES[label]
            for name in (ABSENT, NOBODY, *attacks):
                lies = _accepted(federation, sent[name], defence) if name in attacks else {}
                liars = None if name == NOBODY else lies
                yield Cell(name, label, known.figures(liars, defence), name in attacks and not lies)
                progress(done := done + 1)


class _Known:
    """Figures by what was sent: what two defences let in alike is merged and judged once."""

    def __init__(self, federation: Attacked) -> None:
        self.federation = federation
        self.found: list[tuple[list[Bank] | None, Defence, dict[str, float]]] = []

    def figures(self, lies: Mapping[str, Bank] | None, defence: Defence) -> dict[str, float]:
        sent = None if lies is None else [*lies.values()]
        for banks, other, figures in self.found:
            if _same(banks, sent) and other[1:] == defence[1:]:
                return figures
        self.found.append((sent, defence, _figures(self.federation, lies, defence)))
        return self.found[-1][-1]


def _same(one: Sequence[Bank] | None, other: Sequence[Bank] | None) -> bool:
    """Whether these are the very same banks."""
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _lies(federation: Attacked, name: str) -> dict[str, Bank]:
    """What each malicious site sends, where it has the form of a bank."""
    attack: Attack = plugin("attacks", name)
    sent = {}
    for site, defects in federation.defects.items():
        rng = stream(federation.config.round.seed, site, "attack", name)
        lie = attack(federation.upload(site), rng=rng, defects=defects)
        try:
            sent[site] = Bank.unpack(*lie.pack())
        except UploadError:
            continue
    return sent


def _accepted(federation: Attacked, sent: Mapping[str, Bank], defence: Defence) -> dict[str, Bank]:
    """What the server lets in of it. Who lies about its images says the same when it enrols."""
    if not defence.admission:
        return dict(sent)
    accepted = {}
    for site, lie in sent.items():
        mark, features = federation.probe
        images = dict(zip(lie.categories, lie.images[0].tolist(), strict=True))
        enrolled = Enrolled(site, images, {}, mark, features.shape[-1], longest(features))
        try:
            accepted[site], _ = admit_upload(federation.config, lie, enrolled, FIRST)
        except UploadError:
            continue
    return accepted


def _figures(
    federation: Attacked, lies: Mapping[str, Bank] | None, defence: Defence
) -> dict[str, float]:
    """Means over categories of the honest sites' figures, all their test images together.

    Args:
        lies: what comes in from the malicious sites; None if they are honest.
    """
    config = replace(
        federation.config,
        merge=replace(federation.config.merge, aggregation=defence.aggregation),
        score=replace(federation.config.score, scoring=defence.scoring),
    )

    def receive(turn: Turn, uploads: Mapping[str, Any]) -> Mapping[str, Any]:
        honest = {name: one for name, one in uploads.items() if name not in federation.defects}
        return uploads if lies is None else {**honest, **lies}

    learned = learn(
        config, federation.sites, federation.embed, fit_by=federation.fit, receive=receive
    )
    counts = Counts()
    for site in federation.honest:
        own = learned.own(site.name)
        for verdict in judge(config, site.test, federation.embed, learned.model, own=own):
            counts = counts + Counts.of(verdict.scored)
    means = report(counts)["mean"]
    return {key: float(means[key]["value"]) for key in FIGURES}


def cells_table(found: Sequence[Cell], title: str) -> Table:
    """A row an attack, two figures a defence."""
    defences = list(dict.fromkeys(cell.defence for cell in found))
    table = Table(title=f"{title}: image/pixel AUROC of the others")
    table.add_column("attack")
    for defence in defences:
        table.add_column(defence, justify="right")
    for name in sorted({c.attack for c in found}, key=lambda n: (n != NOBODY, n != ABSENT, n)):
        row = {cell.defence: cell for cell in found if cell.attack == name}
        table.add_row(name, *(_shown(row[defence]) for defence in defences))
    return table


def _shown(cell: Cell) -> str:
    told = "/".join(f"{value:.3f}" for value in cell.figures.values())
    return f"{told}\n(refused)" if cell.refused else told
