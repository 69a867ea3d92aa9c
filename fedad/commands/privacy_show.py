"""`fedad privacy show`: what a site has spent of its products, and what is left, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import Ledgers


def privacy_show(
    folder: Ledgers,
    mirror: Annotated[
        Path | None,
        typer.Option(help="Their copies, which they are held against: `ledger-mirror`."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not lines.")] = False,
) -> None:
    """At a site: what was released of each product, what it cost, and what is left."""
    from fedad.dp import mirror as mirrors
    from fedad.dp.ledger import ledgers, read_at
    from fedad.dp.statement import as_dict, in_words
    from fedad.errors import DataError
    from fedad.plumbing.console import say
    from fedad.plumbing.files import as_json_text

    found = [read_at(path) for path in ledgers(folder)]
    if not found:
        raise DataError(
            f"{folder}: there is no ledger: expected a folder that `fedad privacy init` made"
        )
    if mirror:
        for one in found:
            mirrors.check(one, mirror)
    if as_json:
        told = {"ledgers": [as_dict(one) for one in found]}
        say(*as_json_text(told).splitlines())
        return
    for one in found:
        say(*in_words(one))
