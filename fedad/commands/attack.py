"""`fedad attack`: a run in simulation in which some sites lie, with and without each defence."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rich.table import Table

from fedad.admission import Enrolled, admit_bank
from fedad.attacks.base import Attack, Defects, defects_of
from fedad.bank_file import pack, unpack
from fedad.config import Config
from fedad.datasets.base import check_trainable, open_dataset
from fedad.embedders.embedder import Embedder
from fedad.errors import ConfigError, UploadError
from fedad.judging import judge
from fedad.metrics import Counts, report
from fedad.partition import partition
from fedad.plugins import nearest, plugin
from fedad.probe import Probe, longest, probe
from fedad.progress import track
from fedad.round import fit, merge, seal
from fedad.seeding import stream
from fedad.types import Bank, Site

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


class Plot(NamedTuple):
    """A federation in which some sites are malicious: what each would upload if it were honest."""

    config: Config
    honest: Sequence[Site]
    uploads: Mapping[str, Bank]
    defects: Mapping[str, Defects]  # of each malicious site
    embed: Embedder
    probe: Probe


def plot(config: Config, malicious: Sequence[str] = ()) -> Plot:
    """The sites of a run, of which `malicious` (the last one where none is named) will lie.

    Raises:
        ConfigError: no such site, or one without good images; nobody is left who is honest.
    """
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
    honest = [site for site in sites if site.name not in names]
    if not any(site.train for site in honest):
        raise ConfigError(f"--site {', '.join(names)}: expected at least one site to stay honest")
    embed = Embedder(config.embedder)
    uploads = {
        site.name: seal(config, site.name, fit(config, site, embed)) for site in sites if site.train
    }
    defects = {site.name: defects_of(site.test, embed) for site in sites if site.name in names}
    return Plot(config, honest, uploads, defects, embed, probe(embed))


def cells(
    plot: Plot, attacks: Sequence[str], defences: Sequence[str] = tuple(DEFENCES)
) -> Iterator[Cell]:
    """The figures of the honest sites: without an attack, without the malicious sites, and under
    each of `attacks`, for each of `defences`.

    Who is refused is absent.
    """
    honest = {name: bank for name, bank in plot.uploads.items() if name not in plot.defects}
    sent = {name: _lies(plot, name) for name in attacks}
    with track("attacks", len(defences) * (2 + len(attacks))) as progress:
        done, known = 0, _Known(plot)
        for label in defences:
            defence = DEFENCES[label]
            for name in (ABSENT, NOBODY, *attacks):
                lies = _accepted(plot, sent[name], defence) if name in attacks else {}
                uploads = plot.uploads if name == NOBODY else {**honest, **lies}
                figures = known.figures(uploads, defence)
                yield Cell(name, label, figures, name in attacks and not lies)
                progress(done := done + 1)


class _Known:
    """Figures by what was sent: what two defences let in alike is merged and judged once."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.found: list[tuple[list[Bank], Defence, dict[str, float]]] = []

    def figures(self, uploads: Mapping[str, Bank], defence: Defence) -> dict[str, float]:
        sent = [*uploads.values()]
        for banks, other, figures in self.found:
            same = len(banks) == len(sent) and all(map(operator.is_, banks, sent))
            if same and other[1:] == defence[1:]:
                return figures
        self.found.append((sent, defence, _figures(self.plot, uploads, defence)))
        return self.found[-1][-1]


def _lies(plot: Plot, name: str) -> dict[str, Bank]:
    """What each malicious site sends, where it has the form of a bank."""
    attack: Attack = plugin("attacks", name)
    sent = {}
    for site, defects in plot.defects.items():
        rng = stream(plot.config.round.seed, site, "attack", name)
        lie = attack(plot.uploads[site], rng=rng, defects=defects)
        try:
            sent[site] = unpack(*pack(lie))
        except UploadError:
            continue
    return sent


def _accepted(plot: Plot, sent: Mapping[str, Bank], defence: Defence) -> dict[str, Bank]:
    """What the server lets in of it. Who lies about its images says the same when it enrols."""
    if not defence.admission:
        return dict(sent)
    accepted = {}
    for site, lie in sent.items():
        honest, (mark, features) = plot.uploads[site], plot.probe
        images = dict(zip(lie.categories, lie.images[0].tolist(), strict=True))
        enrolled = Enrolled(site, images, {}, mark, features.shape[-1], longest(features))
        per_image = int(honest.patches.sum() // honest.images.sum())
        try:
            accepted[site], _ = admit_bank(plot.config, lie, enrolled, per_image=per_image)
        except UploadError:
            continue
    return accepted


def _figures(plot: Plot, uploads: Mapping[str, Bank], defence: Defence) -> dict[str, float]:
    """Means over categories of the honest sites' figures, all their test images together."""
    config = replace(
        plot.config,
        merge=replace(plot.config.merge, aggregation=defence.aggregation),
        score=replace(plot.config.score, scoring=defence.scoring),
    )
    bank, counts = merge(config, list(uploads.values())), Counts()
    for site in plot.honest:
        own = plot.uploads.get(site.name)
        for verdict in judge(config, site.test, plot.embed, bank, own=own):
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
