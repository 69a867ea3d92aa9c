"""`fedad register`: let sites come to a SuperLink."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Superlink


def register(
    keys: Annotated[Path, typer.Argument(help="The server's folder of keys, such as keys/server.")],
    superlink: Superlink = "localhost:8000",
    sites: Annotated[
        list[str] | None, typer.Option("--site", help="A site; all of sites/*.pub if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """On the server: tell the SuperLink the keys of the sites that may come."""
    from fedad.commands.show import show_json
    from fedad.deploy.register import register_all
    from fedad.plumbing.console import say

    done = register_all(keys, superlink, sites or ())
    if as_json:
        show_json({site: one._asdict() for site, one in done.items()})
        return
    for site, (number, is_new) in done.items():
        line = f"{site} may come" if is_new else f"{site}: known already"
        say(f"{line}, its key has number {number}" if number else line)
