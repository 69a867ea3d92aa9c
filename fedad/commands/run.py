"""`fedad run`: one run in simulation, from a checked configuration to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Overrides, Runs, Via, ViaOption


def run(  # noqa: PLR0917 - options, which are named
    config: Annotated[
        Path | None, typer.Argument(help="A TOML file, or the name of one that is here: demo.")
    ] = None,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    via: ViaOption = Via.FLWR,
    yardsticks: Annotated[
        bool, typer.Option("--yardsticks", help="Also isolated and centralised.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(help="A run folder: go on with that run, by its configuration.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a configuration, run it in simulation, and leave a run folder."""
    from fedad.commands.show import show_run
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars
    from fedad.reporting.privacy import asked_in_words
    from fedad.running.launch import launch
    from fedad.running.overlay import chosen_config

    knobs = chosen_config(config, overrides or [], resume)
    say(*asked_in_words(knobs), error=as_json)
    folder = launch(knobs, via=via, root=runs.absolute(), with_yardsticks=yardsticks, sink=Bars())
    keep_models(folder)
    show_run(folder, as_json=as_json)


def keep_models(folder: Path) -> None:
    """Keep the run's model at each of its virtual sites, as a deployed site does."""
    from fedad.models.after_run import keep_of_run
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by

    with shown_by(Bars()):
        for site, added in keep_of_run(folder):
            if not added.is_current:
                say(*(f"{site}: {line}" for line in added.told()[:3]), error=True)
