"""`fedad model teach`: a new product, or a variant of a known one, from good pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Models, Overrides, PolicyFile


def model_teach(  # noqa: PLR0917 - options, which are named
    pictures: Annotated[Path, typer.Argument(help="A folder of pictures of good parts.")],
    product: Annotated[
        str, typer.Option(help="What they are: a new name, or a product of which they are more.")
    ],
    models: Models = Path("models"),
    rate: Annotated[float, typer.Option(help="Wished share of good parts stopped.")] = 0.1,
    site: Annotated[
        str, typer.Option(help="The plant's name, where its models do not say it yet.")
    ] = "here",
    policy: PolicyFile = None,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Learn a new product, or a variant of a known one, from good pictures; no other product's
    scores or thresholds change."""
    from fedad.commands.show import show_added
    from fedad.models.gate import Gate
    from fedad.models.teaching import teach
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.overlay import read_config

    with shown_by(Bars()):
        added = teach(
            models,
            pictures,
            product,
            rate,
            Gate.at(policy),
            lambda text: say(text, error=True),
            config=read_config(None, overrides or []),
            site=site,
        )
    show_added(added, as_json=as_json)
