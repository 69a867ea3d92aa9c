"""`fedad data split`: the sites of a simulation as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Layout, Overrides


def data_split(
    folder: Annotated[Path, typer.Argument(help="The data set's root.")],
    out: Annotated[Path, typer.Argument(help="Where each site gets a folder of its own.")],
    dataset: Layout = "auto",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Deal a data set's images out to one folder a site, as factories have them."""
    from fedad.commands.show import show_json
    from fedad.deploy.site_folders import split
    from fedad.plumbing.console import say
    from fedad.running.launch import sites_of
    from fedad.running.overlay import read_config

    knobs = [f"data.dir={folder.absolute()}", f"data.dataset={dataset}", *(overrides or [])]
    made = split(sites_of(read_config(None, knobs)), out)
    if as_json:
        show_json({"folder": out, "sites": {path.name: path for path in made}})
        return
    say(*made)
