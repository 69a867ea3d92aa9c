"""`fedad model add`: keep a model that was brought here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Models, NewGood, Overrides, PolicyFile


def model_add(  # noqa: PLR0917 - options, which are named
    file: Annotated[Path, typer.Argument(help="A model's file, such as a merged bank.")],
    models: Models = Path("models"),
    own: Annotated[
        Path | None, typer.Option(help="The site's own bank; the current model's if none.")
    ] = None,
    thresholds: Annotated[
        Path | None, typer.Option(help="Their file, as fedad calibrate writes it.")
    ] = None,
    good: NewGood = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Keep a model that was brought here; it judges if the site's gate has nothing against it."""
    from fedad.commands.show import show_added
    from fedad.models.by_hand import add_file
    from fedad.models.gate import Gate
    from fedad.models.store import models_folder
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.overlay import absolute, read_knobs

    changes = absolute(read_knobs(overrides or []))
    with shown_by(Bars()):
        added = add_file(
            changes,
            file,
            models_folder(models),
            Gate.at(policy),
            own_file=own,
            thresholds=thresholds,
            good=good,
        )
    show_added(added, as_json=as_json)
