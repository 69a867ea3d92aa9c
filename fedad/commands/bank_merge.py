"""`fedad bank merge`: at a server without a network, one bank of those that plants brought."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Overrides


def bank_merge(
    files: Annotated[
        list[Path],
        typer.Argument(help="Banks that plants have built, such as lyon.bank graz.bank."),
    ],
    out: Annotated[Path, typer.Option(help="The bank for all of them.")],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """At the server: the plants' banks -> one bank, as a run would merge them."""
    from fedad.commands.show import show_json
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.by_hand import merge_files
    from fedad.running.overlay import read_config

    with shown_by(Bars()):
        merged, warnings = merge_files(read_config(None, overrides or []), files, out)
    for warning in warnings:
        say(f"warning: {warning}", error=True)
    if as_json:
        found = {"rows": len(merged), "images": int(merged.images.sum()), "sites": merged.sites}
        show_json({"file": out, **found, "warnings": warnings})
        return
    say(f"{len(merged)} rows of {', '.join(merged.sites)} in {out}")
