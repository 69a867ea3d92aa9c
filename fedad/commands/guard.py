"""`fedad guard`: a site's SuperExec, under the site's own policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def guard(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(help="After --: SuperExec and its words.")],
    output: Annotated[
        Path | None, typer.Option(help="The site's own folder, for the audit of what is refused.")
    ] = None,
) -> None:
    """At a site: start its SuperExec, and let only apps run that the site's policy lists."""
    from fedad.deploy.guard import guard as become

    become([*command, *context.args], output)
