"""`fedad model diff`: what two models say differently of the site's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Models


def model_diff(
    first: Annotated[str, typer.Argument(help="The first letters of a model's name.")],
    second: Annotated[
        str, typer.Argument(help="The same of another; the current one if none.")
    ] = "",
    models: Models = Path("models"),
    as_json: AsJson = False,
) -> None:
    """What two models say differently of the site's own pictures, and promise."""
    from fedad.commands.show import show_json
    from fedad.models.gate import changes
    from fedad.models.kept import kept_named
    from fedad.plumbing.console import say

    other, one = kept_named(models, second), kept_named(models, first)
    changed = changes(other.checked(), one.checked())
    limits = {
        product: [
            kept.limits(kept.config())[product].promise.threshold
            if product in kept.limits(kept.config())
            else None
            for kept in (other, one)
        ]
        for product in sorted({*other.passport()["products"], *one.passport()["products"]})
    }
    if as_json:
        told = {"from": other.name, "to": one.name, "thresholds": limits}
        show_json({**told, "changed": [vars(single) for single in changed]})
        return
    say(f"from {other.name} ({other.passport()['source']}) to {one.name}")
    for product, (before, after) in limits.items():
        say(f"{product}: limit {_number(before)} before, {_number(after)} now")
    say(*(f"  {single.told()}" for single in changed))
    say(f"{len(changed)} of {len(one.checked())} own pictures are judged differently")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
