"""`fedad preflight server`: is the server ready for a run?"""

from __future__ import annotations

import typer

from fedad.commands.options import AsJson, Keys, Overrides, Runs, Superlink


def preflight_server(  # noqa: PLR0917 - options, which are named
    keys: Keys,
    superlink: Superlink,
    proxy: Superlink,
    runs: Runs,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Certificate, secrets, disk, memory, SuperLink, and that the proxy shows the Fleet API."""
    from fedad.commands.show import show_checks
    from fedad.deploy.server_checks import server_checks
    from fedad.running.overlay import read_config

    read_config(None, overrides or [])  # refuses a wrong knob; no right one changes the checks
    if not show_checks(server_checks(keys, superlink, proxy, runs), as_json=as_json):
        raise typer.Exit(1)
