"""`fedad report`: one page of a run, a site or a comparison, plots and tables beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedad.commands.options import AsJson


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, such as runs/latest, of a site or of a comparison."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html in the folder if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one self-contained page, its plots as SVG and CSV, and tables for papers."""
    from fedad.commands.show import show_json
    from fedad.plumbing.console import say
    from fedad.reporting.report import report as write

    path = write(folder, out)
    if as_json:
        beside = {"plots": path.parent / "plots", "tables": path.parent / "tables"}
        show_json({"file": path, "bytes": path.stat().st_size, **beside})
        return
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB); beside it plots/ and tables/")
