"""`fedad model info`: what a model was made from and promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, ModelName, Models


def model_info(
    name: ModelName = "",
    models: Models = Path("models"),
    card: Annotated[bool, typer.Option("--card", help="A page in Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """What a model was made from, what it promises, and how it judged the site's own pictures."""
    from fedad.commands.show import show_json
    from fedad.models.kept import kept_named
    from fedad.models.passport import card as made
    from fedad.models.passport import in_lines
    from fedad.plumbing.console import say

    kept = kept_named(models, name)
    told, limits = kept.passport(), kept.limits(kept.config())
    if as_json:
        promises = {product: one.promise.told() for product, one in limits.items()}
        show_json({"model": kept.name, **told, "promises": promises})
        return
    if card:
        say(*made(kept.name, told, limits).splitlines())
        return
    say(*in_lines(kept.name, told, limits))
