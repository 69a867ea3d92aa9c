"""`fedad drift`: does the line still look as it did, and is it the camera or the product?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson
from fedad.commands.show import show_json

EXIT_ALARM = 10


def drift(  # noqa: PLR0917 - options, which are named
    what: Annotated[
        Path,
        typer.Argument(
            metavar="VERDICTS.jsonl|FOLDER",
            help="JSON lines of fedad inspect, a models folder of fedad serve, or a folder with "
            "such for each site.",
        ),
    ],
    models: Annotated[
        Path | None,
        typer.Option(help="A site's folder of models: only verdicts by its current one count."),
    ] = None,
    product: Annotated[str, typer.Option(help="Of this product alone.")] = "",
    quiet_days: Annotated[
        float,
        typer.Option(
            min=10, max=100_000, help="Days a site, on average, between alarms that mean nothing."
        ),
    ] = 1000.0,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Verdicts from this day (UTC) on count."),
    ] = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="An HTML page with the charts.")] = None,
) -> None:
    """Chart verdicts by day, and say what drifts. Exit code 10 says that something does."""
    from fedad.drift.rows import read_rows
    from fedad.drift.state import state_of
    from fedad.plumbing.console import say
    from fedad.plumbing.files import write_atomic
    from fedad.reporting.shown_drift import as_page, lines

    state = state_of(
        read_rows(what),
        quiet_days=quiet_days,
        since=since.date() if since else None,
        model=_current(models) if models else "",
        product=product,
    )
    if out:
        write_atomic(out, as_page(state), flush=False)
    if as_json:
        show_json(state.told())
    else:
        say(*lines(state))
        say(*([f"page: {out}"] if out else []))
    if state.events:
        raise typer.Exit(EXIT_ALARM)


def _current(models: Path) -> str:
    from fedad.models.store import models_folder, resolve

    return resolve(models_folder(models)).name
