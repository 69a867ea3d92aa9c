"""What several commands print: a finished run, what was looked at on a machine, and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from fedad.deploy.checks import Check
    from fedad.models.adding import Added


def show_json(told: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print an object, or a list of some, as JSON in ASCII: what a terminal would not show stands
    as JSON's own escapes, paths are absolute, NaN is null, and what is infinite is a word."""
    from fedad.plumbing.console import say
    from fedad.plumbing.files import as_json_text

    say(*as_json_text(told).replace("\x7f", "\\u007f").splitlines())


def show_run(folder: Path, *, as_json: bool = False) -> None:
    """Print the table of a run, the bytes that moved, who was missing, and where everything is."""
    from fedad.plumbing.console import say, show
    from fedad.reporting.promises import ADVICE, is_broken, promise_table
    from fedad.reporting.record import model_size
    from fedad.reporting.run_folder import read_record
    from fedad.reporting.table import site_tables

    record = read_record(folder)
    if as_json:
        show_json(run_told(folder, record))
        return
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


def run_told(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """A finished run's folder and headline figures, as its record has them: `figures` by way and
    product, of all sites together, and each way's mean of sites; `sites` are those that took part
    to the end."""
    from fedad.reporting.record import MEAN_OF_SITES
    from fedad.reporting.run_folder import BANK, MODEL, RECORD

    missing = record.get("missing", {})
    file = next((folder / name for name in (BANK, MODEL) if (folder / name).is_file()), None)
    return {
        "folder": folder,
        "record": folder / RECORD,
        "name": record["name"],
        "seed": record["seed"],
        "model": {**record["model"], "file": file},
        "figures": {
            way: {
                "products": {
                    product: one["figures"]
                    for product, one in found["together"]["categories"].items()
                },
                MEAN_OF_SITES: found.get(MEAN_OF_SITES),
            }
            for way, found in record["figures"].items()
        },
        "promises": record.get("promises"),
        "privacy": record.get("privacy"),
        "bytes": record["bytes"],
        "seconds": record["seconds"],
        "sites": sorted({*record["sites"]} - {*missing}),
        "missing": missing,
        "warnings": record["warnings"],
    }


def show_checks(checks: Iterable[Check], *, as_json: bool = False) -> bool:
    """Print a line a check as it is made, and a fix where it failed; return whether all passed."""
    from fedad.plumbing.console import say

    if as_json:
        found = list(checks)
        ready = all(one.passed for one in found)
        show_json({"ready": ready, "checks": [one._asdict() for one in found]})
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

    if metrics is not None:
        write_metrics(metrics, status)
    if as_json:
        show_json(status)
        return
    say(*in_lines(status))


def show_added(added: Added, *, as_json: bool = False, **more: Any) -> None:
    """What became of a model that a site was to keep; exit code 1 where it waits.

    Args:
        more: what its JSON says beside that.
    """
    from fedad.plumbing.console import say

    if as_json:
        show_json({**asdict(added), **more})
    else:
        say(*added.told())
    if not added.is_current:
        raise typer.Exit(1)
