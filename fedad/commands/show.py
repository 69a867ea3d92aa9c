"""What a finished run prints."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from fedad.reporting.record import model_size
from fedad.reporting.run_folder import read_record
from fedad.reporting.table import site_tables


def show_run(folder: Path) -> None:
    """The table of a run, the bytes that moved, who was missing, and where everything is."""
    record = read_record(folder)
    for table in site_tables(record["figures"]):
        Console().print(table)
    for site, told in record.get("missing", {}).items():
        print(f"missing since {told['stage']}: {site}: {told['reason']}")
    moved = record["bytes"]
    print(
        f"bytes up {moved['up']:,}, down {moved['down']:,}; no image left its site\n"
        f"{model_size(record)}; everything is in {folder}"
    )
