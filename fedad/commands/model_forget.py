"""`fedad model forget`: at the server, a run's bank as it would be without a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def model_forget(
    run: Annotated[Path, typer.Argument(help="A run's folder at the server, with its uploads.")],
    site: Annotated[str, typer.Option(help="The site whose rows are to be gone.")],
    out: Annotated[Path, typer.Option(help="The file of the bank without it.")],
) -> None:
    """At the server: a run's bank as it would be without a site, merged from kept uploads."""
    from fedad.models.forgetting import forget
    from fedad.plumbing.console import say
    from fedad.plumbing.progress import Bars, shown_by

    with shown_by(Bars()):
        model = forget(run, site, out)
    say(f"a model of {', '.join(model.sites)}, without {site}, in {out}")
