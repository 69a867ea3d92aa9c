"""What several commands print: a finished run, and what was looked at on a machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from fedad.deploy.checks import Check
    from fedad.models.adding import Added


def show_run(folder: Path) -> None:
    """Print the table of a run, the bytes that moved, who was missing, and where everything is."""
    from fedad.plumbing.console import say, show
    from fedad.reporting.promises import ADVICE, is_broken, promise_table
    from fedad.reporting.record import model_size
    from fedad.reporting.run_folder import read_record
    from fedad.reporting.table import site_tables

    record = read_record(folder)
    show(*site_tables(record["figures"]))
    say(*(f"warning: {warning}" for warning in record["warnings"]))
    if (promises := record.get("promises")) and promises["sites"]:
        show(promise_table(promises))
        if is_broken(promises):
            say(ADVICE)
    if "privacy" in record:
        say(f"privacy: {record['privacy']['told']}")
    for site, absence in record.get("missing", {}).items():
        say(f"missing since {absence['stage']}: {site}: {absence['reason']}")
    moved = record["bytes"]
    say(
        f"bytes up {moved['up']:,}, down {moved['down']:,}; no image left its site",
        f"{model_size(record)}; everything is in {folder}",
    )


def show_checks(checks: Iterable[Check], *, as_json: bool = False) -> bool:
    """Print a line a check as it is made, and a fix where it failed; return whether all passed."""
    from fedad.plumbing.console import say

    if as_json:
        found = list(checks)
        ready = all(one.passed for one in found)
        say(json.dumps({"ready": ready, "checks": [one._asdict() for one in found]}))
        return ready
    ready = True
    for check in checks:
        ready = ready and check.passed
        say(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.told}")
        if not check.passed:
            say(f"     fix: {check.fix}")
    return ready


def show_status(status: dict[str, Any], metrics: Path | None, *, as_json: bool) -> None:
    """Print how a machine stands, and write it as metrics where that is asked for."""
    from fedad.deploy.metrics import write_metrics
    from fedad.deploy.status import in_lines
    from fedad.plumbing.console import say
    from fedad.plumbing.files import as_json_text

    if metrics is not None:
        write_metrics(metrics, status)
    say(*(as_json_text(status).splitlines() if as_json else in_lines(status)))


def show_added(added: Added, *, as_json: bool = False) -> None:
    """What became of a model that a site was to keep; exit code 1 where it waits."""
    from fedad.plumbing.console import say

    if as_json:
        say(json.dumps(asdict(added)))
    else:
        say(*added.told())
    if not added.is_current:
        raise typer.Exit(1)
