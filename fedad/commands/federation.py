"""`fedad federation`: a whole federation on this machine."""

from __future__ import annotations

from pathlib import Path

from fedad.commands.options import AsJson, Overrides, Runs


def federation(
    runs: Runs = Path("runs"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """All that docker/compose.yaml starts, without Docker, and one run on the demo plants."""
    from fedad.commands.show import show_run
    from fedad.deploy.rehearsal import rehearse

    show_run(rehearse(overrides or [], runs.absolute()), as_json=as_json)
