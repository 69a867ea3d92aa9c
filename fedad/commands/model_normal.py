"""`fedad model normal`: pictures that are called good, beside the model that stopped them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Models, PolicyFile


def model_normal(  # noqa: PLR0917 - options, which are named
    picture: Annotated[
        Path | None, typer.Argument(help="A picture of a good part to add; without one: a list.")
    ] = None,
    product: Annotated[str, typer.Option(help="Of which product of the model it is.")] = "",
    remove: Annotated[
        str, typer.Option(metavar="SHA256", help="Take one away again, by what it begins with.")
    ] = "",
    models: Models = Path("models"),
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Add a picture of a good part that was stopped, list those that were added, or take one away:
    what it shows is normal from then on."""
    from fedad.commands.show import show_added, show_json
    from fedad.errors import ConfigError
    from fedad.models.extras import add_normal, normals, remove_normal
    from fedad.models.gate import Gate
    from fedad.models.kept import kept_named
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by

    if picture is not None and remove:
        raise ConfigError("--remove: not with a picture to add")
    if picture is None and not remove:
        rows = normals(kept_named(models))
        if as_json:
            show_json({"normals": rows})
            return
        for row in rows:
            told = (row["sha256"][:12], row["added"], row["product"], f"{row['rows']} rows")
            say("  ".join((*told, row["name"])))
        if not rows:
            say("no normal was added")
        return
    gate = Gate.at(policy)
    with shown_by(Bars()):
        if picture is None:
            added = remove_normal(models, remove, gate)
        else:
            added = add_normal(models, picture, product, gate)
    show_added(added, as_json=as_json)
    for name, why in kept_named(models).stale().items():
        say(f"{name}: its threshold is stale: {why}", error=True)
