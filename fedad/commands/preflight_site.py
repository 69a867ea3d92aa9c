"""`fedad preflight site`: is a plant's machine ready for a run?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson, Keys, Overrides, Superlink


def preflight_site(  # noqa: PLR0917 - options, which are named
    site: Annotated[str, typer.Option(help="This plant's name.")],
    keys: Keys,
    data: Annotated[Path, typer.Option(help="The folder of its images.")],
    output: Annotated[Path, typer.Option(help="Its own folder, for what never leaves.")],
    superlink: Superlink,
    policy: Annotated[
        Path | None, typer.Option(help="Its own policy, which node-config names.")
    ] = None,
    leak_images: Annotated[
        int,
        typer.Option(
            min=0,
            help="Good images, and as many others, that tell what an upload would give away; 0 "
            "leaves it out.",
        ),
    ] = 100,
    ledger: Annotated[
        Path | None, typer.Option(help="Its ledgers, if not in `ledger` below its own folder.")
    ] = None,
    mirror: Annotated[
        Path | None, typer.Option(help="Their copies: `ledger-mirror` in its node-config.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Data, policy, ledgers, weights, clock, disk, memory, keys and the way to the server; a line
    each.

    Then what this site's upload would give away: half of its good images make one here, and nothing
    of it is sent. These lines tell of the images: they stay here.
    """
    from fedad.commands.show import show_checks
    from fedad.deploy.site_checks import site_checks
    from fedad.plumbing.progress import Bars, shown_by
    from fedad.running.overlay import read_config

    config = read_config(None, ["data.dataset=autovi", *(overrides or [])])
    looked_at = site_checks(
        config, site, keys, data, output, superlink, policy, leak_images, ledger, mirror
    )
    with shown_by(Bars()):
        ready = show_checks(looked_at, as_json=as_json)
    if not ready:
        raise typer.Exit(1)
