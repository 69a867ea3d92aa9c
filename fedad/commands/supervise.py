"""`fedad supervise`: a program that is started again whenever it ends."""

from __future__ import annotations

from typing import Annotated

import typer


def supervise(
    context: typer.Context,
    command: Annotated[list[str], typer.Argument(help="After --: a program and its words.")],
    delay: Annotated[float, typer.Option(min=0.1, help="Seconds to the next start.")] = 5.0,
) -> None:
    """Start a program, and start it again whenever it ends; SIGTERM ends both."""
    from fedad.deploy.supervise import supervise as keep_running

    keep_running([*command, *context.args], delay=delay)
