"""`fedad status site`: what is up at a plant, which model judges, what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Keys, Metrics


def status_site(  # noqa: PLR0917 - options, which are named
    keys: Keys,
    output: Annotated[Path, typer.Option(help="Its own folder, with models and audit.")],
    superlink: Annotated[
        str, typer.Option(help="What sites see of the server, HOST:PORT; not asked if none.")
    ] = "",
    supernode: Annotated[
        str, typer.Option(help="Where its SuperNode listens, HOST:PORT; not asked if none.")
    ] = "",
    ledger: Annotated[
        Path | None, typer.Option(help="Its ledgers, if not in `ledger` below its own folder.")
    ] = None,
    metrics: Metrics = None,
    as_json: AsJson = False,
) -> None:
    """What is up, the last run, the model that judges, certificates' days, budgets, disk."""
    from fedad.commands.show import show_status
    from fedad.deploy.site_status import site_status

    folder = output.absolute() if as_json else output
    show_status(site_status(keys, folder, superlink, supernode, ledger), metrics, as_json=as_json)
