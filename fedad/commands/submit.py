"""`fedad submit`: one run on a federation, from its server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Overrides, Runs, Superlink


def submit(  # noqa: PLR0917 - options, which are named
    config: Annotated[
        Path | None,
        typer.Argument(help="A TOML file, or the name of one that is here; none with --resume."),
    ] = None,
    superlink: Superlink = "localhost:8000",
    ca: Annotated[Path, typer.Option("--ca", help="The authority's certificate, ca.crt.")] = Path(
        "keys/server/ca.crt"
    ),
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(help="A run folder: ask only for what is missing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """On the server: run once over the sites that are up, and leave a run folder."""
    from fedad.commands.show import show_run
    from fedad.deploy.submit import submit_run

    folder = submit_run(config, overrides or [], superlink, ca, runs=runs.absolute(), resume=resume)
    show_run(folder, as_json=as_json)
