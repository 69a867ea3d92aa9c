"""`fedad certs`: the keys of a federation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def certs(
    folder: Annotated[Path, typer.Argument(help="Where the keys go, a folder a machine.")],
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="A name or address of the server.")
    ] = None,
    sites: Annotated[list[str] | None, typer.Option("--site", help="A site's name.")] = None,
    days: Annotated[int, typer.Option(min=1, help="Validity of the server's certificate.")] = 825,
) -> None:
    """Make an authority, the server's certificate and a key a site; later, keys of more sites."""
    from fedad.deploy.certificates import make_keys
    from fedad.plumbing.console import say

    for path in make_keys(folder, hosts=hosts or (), sites=sites or (), days=days):
        say(path)
    say(
        "",
        f"Keep {folder / 'authority' / 'ca.key'} off the network: who has it can pose as the "
        "server.",
        f"Each other folder goes to its machine, and then: fedad register {folder}/server",
    )
