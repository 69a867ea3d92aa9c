"""`fedad attack`: a run in simulation in which some sites lie, with and without each defence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rich.table import Table

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
from fedad.progress import track
from fedad.round import fit, merge, seal
from fedad.seeding import stream
from fedad.types import Bank, Site

NOBODY, ABSENT = "no attack", "site absent"
DEFENCES = {  # name -> merge.aggregation, score.scoring
    "undefended": ("federated_coreset", "nearest"),
    "quota": ("quota", "nearest"),
    "quota + q_of_n": ("quota", "q_of_n"),
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
    return Plot(config, honest, uploads, defects, embed)


def cells(
    plot: Plot, attacks: Sequence[str], defences: Sequence[str] = tuple(DEFENCES)
) -> Iterator[Cell]:
    """The figures of the honest sites: without an attack, without the malicious sites, and under
    each of `attacks`, for each of `defences`.

    A refused upload leaves the bank that is made without it.
    """
    honest = {name: bank for name, bank in plot.uploads.items() if name not in plot.defects}
    sent = {NOBODY: plot.uploads, ABSENT: honest}
    for name in attacks:
        lies = _lies(plot, name)
        sent[name] = {**honest, **lies} if lies else honest
    with track("attacks", len(sent) * len(defences)) as progress:
        done = 0
        for defence in defences:
            absent: Mapping[str, float] = {}
            for name in (ABSENT, NOBODY, *attacks):
                refused = name in attacks and sent[name] is honest
                figures = absent if refused else _figures(plot, sent[name], defence)
                absent = absent or figures
                yield Cell(name, defence, figures, refused)
                progress(done := done + 1)


def _lies(plot: Plot, name: str) -> dict[str, Bank]:
    """What the server accepts of what the malicious sites send."""
    attack: Attack = plugin("attacks", name)
    accepted = {}
    for site, defects in plot.defects.items():
        rng = stream(plot.config.round.seed, site, "attack", name)
        lie = attack(plot.uploads[site], rng=rng, defects=defects)
        try:
            accepted[site] = unpack(*pack(lie))
        except UploadError:
            continue
    return accepted


def _figures(plot: Plot, uploads: Mapping[str, Bank], defence: str) -> dict[str, float]:
    """Means over categories of the honest sites' figures, all their test images together."""
    aggregation, scoring = DEFENCES[defence]
    config = replace(
        plot.config,
        merge=replace(plot.config.merge, aggregation=aggregation),
        score=replace(plot.config.score, scoring=scoring),
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
    table = Table(title=title)
    table.add_column("image / pixel AUROC")
    for defence in defences:
        table.add_column(defence, justify="right")
    for name in sorted({c.attack for c in found}, key=lambda n: (n != NOBODY, n != ABSENT, n)):
        row = {cell.defence: cell for cell in found if cell.attack == name}
        title = f"{name} (refused)" if any(cell.refused for cell in row.values()) else name
        table.add_row(title, *(_shown(row[defence]) for defence in defences))
    return table


def _shown(cell: Cell) -> str:
    return " / ".join(f"{value:.3f}" for value in cell.figures.values())
