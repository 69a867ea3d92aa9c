"""`fedad attack`: what each attack does to the other sites, with and without each defence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedad.commands.options import AsJson, Overrides

if TYPE_CHECKING:
    from rich.table import Table

    from fedad.running.defences import Trial


def attack(
    config: Annotated[
        Path, typer.Argument(help="A TOML file, or the name of one that is here: demo.")
    ],
    attacks: Annotated[
        list[str] | None, typer.Option("--attack", help="Which; all of them if none is named.")
    ] = None,
    sites: Annotated[
        list[str] | None, typer.Option("--site", help="Who lies; the last site if none is named.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Let sites lie in simulation, and show the others' figures with and without each defence."""
    from fedad.commands.show import show_json
    from fedad.plugins import names, plugin
    from fedad.plumbing.console import show
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.attacked import attacked_federation
    from fedad.running.defences import trials
    from fedad.running.overlay import read_config

    for name in attacks or ():
        plugin("attacks", name)
    with shown_by(Bars()):
        federation = attacked_federation(read_config(config, overrides or []), sites or ())
        measured = list(trials(federation, attacks or names("attacks")))
    if as_json:
        show_json({"trials": [one._asdict() for one in measured]})
        return
    show(_table(measured, f"{', '.join(federation.defects)} lies"))


def _table(cells: Sequence[Trial], title: str) -> Table:
    """A row an attack, two figures a defence."""
    from fedad.plumbing.console import table
    from fedad.running.defences import ABSENT, NOBODY

    defences = list(dict.fromkeys(cell.defence for cell in cells))
    made = table(f"{title}: image/pixel AUROC of the others", ("attack", *defences))
    for name in sorted({c.attack for c in cells}, key=lambda n: (n != NOBODY, n != ABSENT, n)):
        row = {cell.defence: cell for cell in cells if cell.attack == name}
        made.add_row(name, *(_shown(row[defence]) for defence in defences))  # our own words
    return made


def _shown(cell: Trial) -> str:
    figures = "/".join(f"{value:.3f}" for value in cell.figures.values())
    return f"{figures}\n(refused)" if cell.refused else figures
