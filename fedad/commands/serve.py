"""`fedad serve`: the model that judges, behind a page and an interface by HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import Overrides


def serve(  # noqa: PLR0917 - options, which are named
    models: Annotated[
        Path, typer.Option(help="A site's folder of models: its current one judges.")
    ] = Path("models"),
    host: Annotated[str, typer.Option(help="The address that it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8400,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Holds the token that requests need; made if it is not there."),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="Of the server, in PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Of the certificate, in PEM.")] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A further host name that it is called by, as by a proxy."),
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(help="A folder that a camera writes into: judged as well.")
    ] = None,
    webhook: Annotated[str, typer.Option(help="An address that each verdict is sent to.")] = "",
    mqtt: Annotated[str, typer.Option(help="mqtt://HOST/TOPIC: each verdict is published.")] = "",
    policy: Annotated[
        Path | None, typer.Option(help="The site's policy, whose gate new models have to pass.")
    ] = None,
    product: Annotated[
        str, typer.Option(help="Which of the model's products pictures are of; else recognised.")
    ] = "",
    keep_days: Annotated[
        int,
        typer.Option(
            min=1, max=36500, help="Days for which what was judged is kept, in inspected/."
        ),
    ] = 400,
    overrides: Overrides = None,
) -> None:
    """Judge pictures that a page, a program or a camera brings, until it is stopped: OK, NOK or
    take again, and why. Nothing leaves this machine unless it is told to."""
    from fedad.plumbing.console import say
    from fedad.running.overlay import absolute, read_knobs
    from fedad.serving.server import Settings
    from fedad.serving.server import serve as serve_until_stopped

    def note(line: str) -> None:
        say(line, error=True)

    settings = Settings(
        models=models,
        host=host,
        port=port,
        token_file=token_file,
        certificate=certificate,
        key=key,
        names=tuple(name or ()),
        watch=watch,
        webhook=webhook,
        mqtt=mqtt,
        policy=policy,
        product=product,
        keep_days=keep_days,
        knobs=absolute(read_knobs(overrides or [])),
    )
    serve_until_stopped(settings, note, note)
