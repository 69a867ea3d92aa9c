"""`fedad privacy init`: a budget for all that a site will ever release of a product."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Ledgers


class UnitOption(StrEnum):
    """What one is added or removed of."""

    IMAGE = "image"
    PART = "part"


def privacy_init(
    folder: Ledgers,
    *,
    site: Annotated[str, typer.Option(help="The site, as in its node-config.")],
    product: Annotated[str, typer.Option(help="The product, as its folder is called.")],
    epsilon: Annotated[float, typer.Option(help="All that may ever be spent of the product.")],
    delta: Annotated[
        float, typer.Option(help="At this delta; well below one in the number of units.")
    ] = 1e-5,
    unit: Annotated[
        UnitOption, typer.Option(help="Whose presence is hidden: an image, or all of a part's.")
    ] = UnitOption.IMAGE,
    as_json: AsJson = False,
) -> None:
    """At a site: make the ledger of a product, once and for ever.

    Without it nothing of the product is released with differential privacy; with it, nothing
    without.
    """
    from fedad.commands.show import show_json
    from fedad.dp.account import Terms
    from fedad.dp.ledger import create
    from fedad.dp.receipts import RELATION
    from fedad.plumbing.console import say

    terms = Terms(site, product, epsilon, delta, unit.value)
    made = create(folder, terms)
    if as_json:
        show_json({"folder": made.folder, **asdict(terms), "relation": RELATION})
        return
    say(
        f"{made.folder}: {product!r} at {site!r} may spend epsilon {epsilon:g} in all, at delta "
        f"{delta:g}, by {RELATION} of one {unit}",
        "keep this folder, and a copy of it, as long as there are images of the product",
    )
