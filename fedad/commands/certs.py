"""`fedad certs`: the keys of a federation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson


def certs(  # noqa: PLR0917 - options, which are named
    folder: Annotated[
        Path, typer.Argument(help="Where the keys go, a folder a machine, such as keys.")
    ],
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="A name or address of the server.")
    ] = None,
    sites: Annotated[list[str] | None, typer.Option("--site", help="A site's name.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Validity of the server's certificate.")] = 825,
    renew: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="Another key of a site, or another `server` or `authority`."
        ),
    ] = None,
    retire: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="A site's key, or the `authority`, before the newest."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an authority, the server's certificate and a key a site; later more, or others."""
    from fedad.commands.show import show_json
    from fedad.deploy import issuing
    from fedad.plumbing.console import say

    done = issuing.issue(
        folder, hosts=hosts or (), sites=sites or (), days=days, renew=renew, retire=retire
    )
    if as_json:
        show_json({"written": done.written, "next": done.next})
        return
    for path in done.written:
        say(path)
    say(*([""] if done.written else []), *done.next)
