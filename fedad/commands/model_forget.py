"""`fedad model forget`: at the server, a run's bank as it would be without a site or an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson


def model_forget(  # noqa: PLR0917 - options, which are named
    run: Annotated[
        Path,
        typer.Argument(help="A run's folder at the server, with its uploads: runs/latest."),
    ],
    out: Annotated[Path, typer.Option(help="The file of the bank without it.")],
    site: Annotated[str, typer.Option(help="The site whose rows are to be gone.")] = "",
    image: Annotated[
        Path | None, typer.Option(help="Or an image that a site of a simulation learned from.")
    ] = None,
    refit: Annotated[
        Path | None,
        typer.Option(
            help="With --site: its bank without an image, which takes the old one's place."
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="The server's, or a site's, folder of keys: its key signs the statement."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """At the server: a run's bank as it would be without a site or an image, merged from kept
    uploads, and a statement of it."""
    from fedad.commands.show import show_json
    from fedad.errors import ConfigError
    from fedad.models.forgetting import forget, forget_image, signer_at
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by

    if bool(site) == (image is not None):
        raise ConfigError("expected --site NAME or --image FILE, whichever is to be forgotten")
    if refit is not None and not site:
        raise ConfigError("--refit: expected --site with the name of the site whose bank it is")
    signer = signer_at(keys) if keys else None
    with shown_by(Bars()):
        if image is not None:
            made = forget_image(run, image, out, signer)
        else:
            made = forget(run, site, out, refit=refit, signer=signer)
    if as_json:
        gone = {"without_site": None if refit else site or None, "without_image": image}
        proof = {"statement": made.statement, "signed": made.signed_by}
        show_json({"file": out, "sites": made.model.sites, **gone, "refit": refit, **proof})
        return
    what = image.name if image else (f"what {refit.name} lacks" if refit else site)
    say(f"a model of {', '.join(made.model.sites)}, without {what}, in {out}")
    told = f"signed by {made.signed_by}" if made.signed_by else "not signed: --keys names a key"
    say(f"the statement of it is {made.statement}, {told}")
