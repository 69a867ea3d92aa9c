"""`fedad model import`: keep a model that came as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Models, NewGood, Overrides, PolicyFile


def model_import(  # noqa: PLR0917 - options, which are named
    file: Annotated[
        Path, typer.Argument(help="What fedad model export wrote, such as march.fedad.")
    ],
    models: Models = Path("models"),
    signer: Annotated[
        Path | None, typer.Option(help="The public key that has to have signed it: lyon.pub.")
    ] = None,
    good: NewGood = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Check a model that came as one file, and keep it; it judges if the site's gate lets it."""
    from fedad.commands.show import show_added
    from fedad.models.gate import Gate
    from fedad.models.importing import bring
    from fedad.models.store import models_folder
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.overlay import absolute, read_knobs

    changes = absolute(read_knobs(overrides or []))
    with shown_by(Bars()):
        added, told = bring(
            changes, file, models_folder(models), Gate.at(policy), signer=signer, good=good
        )
    if not as_json:
        say(told)
    show_added(added, as_json=as_json)
