"""`fedad unregister`: shut a site's key out of a SuperLink."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Superlink


def unregister(
    who: Annotated[
        str, typer.Argument(help="A site, or the number that fedad register gave its key.")
    ],
    keys: Annotated[Path, typer.Option("--keys", help="The server's folder of keys.")],
    superlink: Superlink = "localhost:8000",
    old: Annotated[
        bool, typer.Option("--old", help="Of a site: all of its keys but the newest.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """On the server: shut out a key that was lost or replaced."""
    from fedad.commands.show import show_json
    from fedad.deploy.register import unregister as shut_out
    from fedad.deploy.register import unregister_old
    from fedad.plumbing.console import say

    numbers = unregister_old(keys, superlink, who) if old else [shut_out(keys, superlink, who)]
    if as_json:
        show_json({"who": who, "shut_out": numbers})
        return
    if old:
        told = f" by what it had before: the key of number {', '.join(numbers)}"
    else:
        told = f" by the key of number {numbers[0]}" * ([who] != numbers)
    say(f"{who} may not come any more{told}")
