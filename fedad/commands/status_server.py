"""`fedad status server`: who is up, and what ran last."""

from __future__ import annotations

from pathlib import Path

from fedad.commands.options import AsJson, Keys, Metrics, Runs, Superlink


def status_server(
    keys: Keys = Path("keys/server"),
    superlink: Superlink = "localhost:8000",
    runs: Runs = Path("runs"),
    metrics: Metrics = None,
    as_json: AsJson = False,
) -> None:
    """Who is up, versions, the last run, the newest model, certificates' days, disk."""
    from fedad.commands.show import show_status
    from fedad.deploy.server_status import server_status

    folder = runs.absolute() if as_json else runs
    show_status(server_status(keys, superlink, folder), metrics, as_json=as_json)
