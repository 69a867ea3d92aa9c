"""`fedad privacy show`: what a site has spent of its products, and what is left, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Ledgers


def privacy_show(
    folder: Ledgers,
    mirror: Annotated[
        Path | None,
        typer.Option(help="Their copies, which they are held against: `ledger-mirror`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """At a site: what was released of each product, what it cost, and what is left."""
    from fedad.commands.show import show_json
    from fedad.dp import mirror as mirrors
    from fedad.dp.ledger import ledgers, read_at
    from fedad.dp.statement import as_dict, in_words
    from fedad.errors import DataError
    from fedad.plumbing.console import say

    found = [read_at(path) for path in ledgers(folder)]
    if not found:
        raise DataError(
            f"{folder}: there is no ledger: expected a folder that `fedad privacy init` made"
        )
    if mirror:
        for one in found:
            mirrors.check(one, mirror)
    if as_json:
        show_json({"ledgers": [as_dict(one) for one in found]})
        return
    for one in found:
        say(*in_words(one))
